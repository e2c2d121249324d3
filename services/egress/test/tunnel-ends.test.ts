import { expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { type Ends, ProxyHarness } from './proxy-harness.ts'

/**
 * What the proxy ends by itself: tunnels, whether CONNECT or a switch of protocols has asked for them. Most of the time
 * passes in waiting, so the tests wait side by side.
 */
async function standing(harness: ProxyHarness): Promise<readonly Ends[]> {
  return [await harness.tunnel(), await harness.switched()]
}

async function areOver({ egress }: ProxyHarness, tunnels: readonly Ends[], why: string): Promise<void> {
  await Promise.all(tunnels.flatMap(({ client, server }) => [client.ended, server.ended]))
  const told = () => egress.lines().filter(({ msg, end }) => msg === 'tunnel closed' && end === why)
  await until(() => told().length === tunnels.length)
}

test.concurrent('those that have passed TUNNEL_MAX_BYTES', async () => {
  await using harness = await ProxyHarness.start({ TUNNEL_MAX_BYTES: '10' })
  const tunnels = await standing(harness)
  for (const { client, server } of tunnels) {
    client.write('12345')
    await server.saw('12345')
    server.write('1234567890')
  }
  await areOver(harness, tunnels, 'limit')
  for (const { client } of tunnels) expect(client.text).toMatch(/\r\n\r\n12345$/)
})

test.concurrent.each([
  ['have stood for TUNNEL_MAX_SECONDS', { TUNNEL_MAX_SECONDS: '2' }, 'limit'],
  ['have nothing pass through them for IDLE_TIMEOUT_SECONDS', { IDLE_TIMEOUT_SECONDS: '2' }, 'idle'],
])('those that %s', async (_what, env, why) => {
  await using harness = await ProxyHarness.start(env)
  await areOver(harness, await standing(harness), why)
})

test.concurrent('those that stand when DRAIN_MS are over, and not before', async () => {
  await using harness = await ProxyHarness.start({ DRAIN_MS: '5000' })
  const tunnels = await standing(harness)
  harness.egress.kill('SIGTERM')
  await harness.egress.waitForLine(({ msg }) => msg === 'stopping')
  for (const { client, server } of tunnels) {
    client.write('still there')
    await server.saw('still there')
  }
  await areOver(harness, tunnels, 'stopped')
  expect(await harness.egress.exited).toEqual({ code: 0, signal: null })
})
