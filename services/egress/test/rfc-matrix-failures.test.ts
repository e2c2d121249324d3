import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { namesEnvironment } from '@ipfleet/testing/names-environment.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import type { Wire } from '@ipfleet/testing/wire.ts'
import { bodyOf, okHead, ProxyHarness, requestHead } from './proxy-harness.ts'
import { SilentListener } from './silent-listener.ts'

/** What does not come about, or stops: a status where one can still be sent, with Proxy-Status (RFC 9209). */

/** Patient: nothing is late here, whatever stands still. */
let harness: ProxyHarness
/** Gives a connection up at once. */
let dialler: ProxyHarness
/** Gives up what has begun. */
let hasty: ProxyHarness
let silent: SilentListener
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  const folder = opened.adopt(await temporaryFolder('names'), (made) => made.remove())
  const names = join(folder.path, 'names.json')
  await writeFile(names, JSON.stringify({ 'nowhere.test': [], 'never.test': null }))
  silent = opened.adopt(await SilentListener.start('127.0.0.1'), (listener) => listener.stop())
  const started = await Promise.all(
    [{}, { CONNECT_TIMEOUT_MS: '500' }, { ANSWER_TIMEOUT_SECONDS: '6', IDLE_TIMEOUT_SECONDS: '2' }].map(async (env) =>
      opened.use(await ProxyHarness.start({ ...env, ...namesEnvironment(names) })),
    ),
  )
  ;[harness, dialler, hasty] = started as [ProxyHarness, ProxyHarness, ProxyHarness]
})
afterEach(() => {
  for (const proxy of [harness, dialler, hasty]) proxy.clear()
})
afterAll(() => opened.disposeAsync())

/** What a client is told: one answer as JSON. */
async function toldIn(client: Wire): Promise<{ readonly status: number; readonly proxyStatus: string | undefined }> {
  const text = await client.saw(/\r\n\r\n\{.*\n}\n?$/s)
  expect(text).toMatch(/^content-type: application\/json/im)
  const status = Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1])
  expect(JSON.parse(bodyOf(client))).toMatchObject({ status, error: { title: expect.any(String) } })
  return { status, proxyStatus: /^proxy-status: ipfleet-egress; error=(.*)\r$/im.exec(text)?.[1] }
}

/** A port of 127.0.0.1 on which nobody listens. */
async function closedPort(): Promise<number> {
  const closed = await ScriptedBackend.start()
  const { port } = closed
  await closed[Symbol.asyncDispose]()
  return port
}

describe.each(['GET', 'CONNECT'])('%s for a target', (method) => {
  const ask = (authority: string, proxy = harness): Promise<Wire> => {
    const target = method === 'CONNECT' ? authority : `http://${authority}/`
    return proxy.client(requestHead(`${method} ${target}`, `Host: ${authority}`))
  }

  test('that refuses is 502', async () => {
    const told = await toldIn(await ask(`127.0.0.1:${await closedPort()}`))
    expect(told).toEqual({ status: 502, proxyStatus: 'connection_refused; details="ECONNREFUSED"' })
  })

  test('that does not react is 504', async () => {
    const told = await toldIn(await ask(`127.0.0.1:${silent.port}`, dialler))
    expect(told).toEqual({ status: 504, proxyStatus: 'connection_timeout; details="ETIMEDOUT"' })
  })

  test('whose name is none is 502', async () => {
    const told = await toldIn(await ask('nowhere.test:8080'))
    expect(told).toEqual({ status: 502, proxyStatus: 'dns_error; details="ENOTFOUND"' })
  })

  test('whose name nobody can tell in time is 504', async () => {
    const { status, proxyStatus } = await toldIn(await ask('never.test:8080', dialler))
    expect([status, proxyStatus]).toEqual([504, expect.stringMatching(/^dns_timeout/)])
  })

  test('that may not be is 403', async () => {
    const told = await toldIn(await ask('10.0.0.1:8080'))
    expect(told).toEqual({ status: 403, proxyStatus: 'destination_ip_prohibited; details="private"' })
  })
})

describe('an origin', () => {
  test('that does not answer in time is 504', async () => {
    const { client, server } = await hasty.get('/')
    expect(await toldIn(client)).toMatchObject({
      status: 504,
      proxyStatus: expect.stringMatching(/^http_response_timeout/),
    })
    await server.ended
  })

  test.each(['end', 'reset'] as const)('that leaves without an answer is 502: %s', async (leave) => {
    const { client, server } = await harness.get('/')
    server[leave]()
    expect(await toldIn(client)).toMatchObject({
      status: 502,
      proxyStatus: expect.stringMatching(/^connection_terminated/),
    })
  })

  test('that leaves within the head of its answer is 502', async () => {
    const { client, server } = await harness.get('/')
    server.write('HTTP/1.1 200 OK\r\nContent-')
    server.end()
    expect(await toldIn(client)).toMatchObject({
      status: 502,
      proxyStatus: expect.stringMatching(/^http_response_incomplete/),
    })
  })

  test('that has as long as its client takes over a body: the time for an answer begins with its end', async () => {
    await using patient = await ProxyHarness.start({ ANSWER_TIMEOUT_SECONDS: '5', IDLE_TIMEOUT_SECONDS: '20' })
    const { client, server } = await patient.post(['Content-Length: 4'])
    for (const part of ['b', 'o', 'd', 'y']) {
      await sleep(1500)
      client.write(part)
    }
    await server.saw('body')
    server.write(okHead('Content-Length: 0'))
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('that stops in the middle of a body leaves it visibly cut', async () => {
    const { client, server } = await hasty.get('/')
    server.write(`${okHead('Content-Length: 100')}part`)
    await client.saw('part')
    await Promise.all([client.ended, server.ended])
    expect(bodyOf(client)).toBe('part')
  })
})

test('a client that stops in the middle of its body is told, and the origin let go', async () => {
  const { client, server } = await hasty.post(['Content-Length: 100'], 'part')
  await server.saw('part')
  const told = await toldIn(client)
  expect(told).toEqual({ status: 408, proxyStatus: 'http_request_error; details="body too slow"' })
  await server.ended
  await hasty.egress.waitForLine(({ status, refused }) => status === 408 && refused === 'http_request_error')
})

test('a tunnel through which nothing passes is closed', async () => {
  const { client, server } = await hasty.tunnel()
  await Promise.all([client.ended, server.ended])
  await hasty.egress.waitForLine(({ msg, end }) => msg === 'tunnel closed' && end === 'idle')
})
