import { createServer, type Server, type ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { asProxyError } from '@ipfleet/http-server/error-handler.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { BatchSlots } from './batch-slots.ts'

const large = 'x'.repeat(16 * 1024 * 1024)

/** What a server has seen of the batches that it was asked for. */
interface Seen {
  readonly held: ServerResponse[]
  readonly refusals: string[]
  asked: number
  left: number
}

let server: Server
let port: number
let seen: Seen
const wires: Wire[] = []

/** Answers `/CLIENT/large`, `/CLIENT/small` and, never, `/CLIENT/wait` of batches that have a slot. */
beforeEach(async () => {
  const own: Seen = { held: [], refusals: [], asked: 0, left: 0 }
  seen = own
  const slots = new BatchSlots({ sendTimeoutMs: 500 })
  server = createServer((req, res) => {
    const [, client = '', size] = (req.url ?? '').split('/')
    own.asked += 1
    res.once('close', () => (own.left += 1))
    slots.take(client, res).then(
      () => {
        own.held.push(res)
        slots.answering(res)
        if (size !== 'wait') res.end(size === 'large' ? large : 'small')
      },
      (error: unknown) => own.refusals.push(asProxyError(error).code),
    )
  })
  port = await listen(server, { port: 0, host: '127.0.0.1' })
})

afterEach(() => {
  for (const wire of wires.splice(0)) wire.destroy()
  server.close()
  server.closeAllConnections()
})

async function ask(path: string, count = 1): Promise<Wire[]> {
  const opened = await Promise.all(Array.from({ length: count }, () => Wire.to(port)))
  wires.push(...opened)
  for (const wire of opened) wire.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  return opened
}

test('one client holds half of the slots with answers that it does not read; others have theirs at once', async () => {
  const unread = await ask('/192.0.2.1/wait', 20)
  await until(() => seen.held.length === 16)
  const [other] = await ask('/192.0.2.2/small')
  await other?.saw('small')
  expect(seen.held).toHaveLength(17)
  for (const wire of unread) wire.destroy()
  const [later] = await ask('/192.0.2.1/small')
  await later?.saw('small')
})

test('an answer that is not read gives its slot up, and its connection', async () => {
  const unread = await ask('/192.0.2.1/large', 16)
  for (const { socket } of unread) socket.pause()
  await until(() => seen.held.length === 16)
  const [next] = await ask('/192.0.2.1/small')
  await next?.saw('small')
  expect(seen.held.some(({ destroyed }) => destroyed)).toBe(true)
})

test('a batch whose client leaves while it waits is not worked on', async () => {
  const first = await ask('/192.0.2.1/wait', 16)
  await until(() => seen.held.length === 16)
  const [waiting] = await ask('/192.0.2.1/small')
  await until(() => seen.asked === 17)
  waiting?.destroy()
  await until(() => seen.left === 1)
  for (const wire of first) wire.destroy()
  await until(() => seen.refusals.length > 0)
  expect([seen.refusals, seen.held.length]).toEqual([['client_left'], 16])
})
