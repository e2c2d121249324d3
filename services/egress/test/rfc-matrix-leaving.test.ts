import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { namesEnvironment } from '@ipfleet/testing/names-environment.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { until } from '@ipfleet/testing/until.ts'
import { okHead, ProxyHarness, requestHead } from './proxy-harness.ts'
import { SilentListener } from './silent-listener.ts'

/** A client that leaves ends what it has asked for, wherever that is: the origin sees its connection close. */
let harness: ProxyHarness
let silent: SilentListener
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  const folder = opened.adopt(await temporaryFolder('names'), (made) => made.remove())
  const names = join(folder.path, 'names.json')
  await writeFile(names, JSON.stringify({ 'never.test': null }))
  silent = opened.adopt(await SilentListener.start('127.0.0.1'), (listener) => listener.stop())
  harness = opened.use(await ProxyHarness.start({ CONNECT_TIMEOUT_MS: '8000', ...namesEnvironment(names) }))
})
afterEach(() => harness.clear())
afterAll(() => opened.disposeAsync())

/** The line of a request that its client did not wait for. */
async function leftAlone(target: string, path?: string): Promise<void> {
  const isIt = (line: Readonly<Record<string, unknown>>): boolean =>
    line['status'] === 499 && line['target'] === target && line['path'] === path
  await harness.egress.waitForLine(isIt)
}

describe.each(['destroy', 'reset', 'end'] as const)('a client that leaves (%s)', (leave) => {
  test.each(['GET', 'CONNECT'])('while its target is dialled: %s', async (method) => {
    const authority = `127.0.0.1:${silent.port}`
    const path = method === 'CONNECT' ? undefined : `/dial-${leave}`
    const target = path === undefined ? authority : `http://${authority}${path}`
    const before = harness.egress.lines().filter(({ status }) => status === 499).length
    const client = await harness.client(requestHead(`${method} ${target}`, `Host: ${authority}`))
    await until(async () => /^ipfleet_egress_open_connections [1-9]/m.test(await harness.egress.metrics()))
    client[leave]()
    await until(() => harness.egress.lines().filter(({ status }) => status === 499).length > before)
    await leftAlone(authority, path)
  })

  test('before any answer', async () => {
    const path = `/before-${leave}`
    const { client, server } = await harness.get(path)
    client[leave]()
    await server.ended
    await leftAlone(harness.authority, path)
  })

  test.each([
    ['length', 'Content-Length: 1000', 'some'],
    ['chunks', 'Transfer-Encoding: chunked', '4\r\nsome\r\n'],
  ])('in the middle of its upload, in %s', async (_what, framing, part) => {
    const { client, server } = await harness.post([framing], part)
    await server.saw('some')
    client[leave]()
    await server.ended
    expect(server.text).not.toContain('\r\n0\r\n')
  })

  test('in the middle of the answer', async () => {
    const path = `/part-${leave}`
    const { client, server } = await harness.get(path)
    server.write(`${okHead('Transfer-Encoding: chunked')}4\r\nsome\r\n`)
    await client.saw('some')
    client[leave]()
    await server.ended
    await leftAlone(harness.authority, path)
  })
})

test('a client that leaves an answer unread that is larger than all buffers', async () => {
  const { client, server } = await harness.get('/unread')
  client.socket.pause()
  server.write(okHead('Content-Length: 100000000'))
  server.write(Buffer.alloc(50_000_000))
  await until(() => server.socket.bytesWritten > 500_000)
  client.destroy()
  await server.ended
  await leftAlone(harness.authority, '/unread')
})

test.each(['GET', 'CONNECT'])('a client that leaves while the name is looked up: %s', async (method) => {
  const target = method === 'CONNECT' ? 'never.test:8080' : 'http://never.test:8080/'
  const client = await harness.client(requestHead(`${method} ${target}`, 'Host: never.test:8080'))
  client.destroy()
  const isIt = ({ status, method: of }: Readonly<Record<string, unknown>>) => status === 499 && of === method
  await harness.egress.waitForLine((line) => isIt(line) && line['target'] === 'never.test:8080')
})

test('a client that leaves a tunnel takes the origin’s connection with it', async () => {
  const { client, server } = await harness.tunnel()
  client.destroy()
  await server.ended
  server.end()
  await once(server.socket, 'close')
})
