import { afterEach, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { type Ends, ProxyHarness } from './proxy-harness.ts'

/** What the proxy ends by itself: tunnels, whether CONNECT or a switch of protocols has asked for them. */
let harness: ProxyHarness
afterEach(() => harness[Symbol.asyncDispose]())

/** One of each kind. */
async function standing(env: Readonly<Record<string, string>>): Promise<readonly Ends[]> {
  harness = await ProxyHarness.start(env)
  return [await harness.tunnel(), await harness.switched()]
}

async function areOver(tunnels: readonly Ends[], why: string): Promise<void> {
  await Promise.all(tunnels.flatMap(({ client, server }) => [client.ended, server.ended]))
  const told = () => harness.egress.lines().filter(({ msg, end }) => msg === 'tunnel closed' && end === why)
  await until(() => told().length === tunnels.length)
}

test('those that have passed TUNNEL_MAX_BYTES', async () => {
  const tunnels = await standing({ TUNNEL_MAX_BYTES: '10' })
  for (const { client, server } of tunnels) {
    client.write('12345')
    await server.saw('12345')
    server.write('1234567890')
  }
  await areOver(tunnels, 'limit')
  for (const { client } of tunnels) expect(client.text).toMatch(/\r\n\r\n12345$/)
})

test('those that have stood for TUNNEL_MAX_SECONDS', async () => {
  await areOver(await standing({ TUNNEL_MAX_SECONDS: '2' }), 'limit')
})

test('those through which nothing passes for IDLE_TIMEOUT_SECONDS', async () => {
  await areOver(await standing({ IDLE_TIMEOUT_SECONDS: '2' }), 'idle')
})

test('those that stand when DRAIN_MS are over, and not before', async () => {
  const tunnels = await standing({ DRAIN_MS: '5000' })
  harness.egress.kill('SIGTERM')
  await harness.egress.waitForLine(({ msg }) => msg === 'stopping')
  for (const { client, server } of tunnels) {
    client.write('still there')
    await server.saw('still there')
  }
  await areOver(tunnels, 'stopped')
  expect(await harness.egress.exited).toEqual({ code: 0, signal: null })
})
