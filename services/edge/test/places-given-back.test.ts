import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { echo, RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** However a request ends, its client has all its places again: connections to backends, long answers, bytes. */

const held: Socket[] = []
let backends: readonly [RecordingBackend, RecordingBackend]
let edge: RunningEdge
beforeAll(async () => {
  backends = [await RecordingBackend.start(answer), await RecordingBackend.start(answer)]
  edge = await startEdge({
    backends: backends.map(({ port }) => port),
    upstreams: 'max_connections = 8\nanswer_timeout_seconds = 10',
    tables: `
[ejection]
failures = 0
[retry]
hedge_after_ms = 250
[[routes]]
prefix = "/hold"
upstreams = "default"
hedge_after_ms = 0`,
  })
})
afterAll(async () => {
  await edge.stop()
  await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]()))
})

function answer(request: SeenRequest, socket: Socket): void {
  const { target } = request
  if (target === '/hold') held.push(socket)
  else if (target === '/reset') socket.resetAndDestroy()
  else if (target === '/cut') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
  else if (target === '/events') socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
  else if (target === '/switch') socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  else if (target === '/no') socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
  else if (target === '/answered' || (target === '/one-silent' && isSecond(request))) echo(request, socket)
}

const isSecond = ({ fields }: SeenRequest): boolean => fields.some(([name]) => name === 'X-Ipfleet-Attempt')

const seen = (path: string): number =>
  backends.flatMap(({ requests }) => requests).filter(({ target }) => target === path).length

async function metrics(): Promise<string> {
  return (await ask(edge.port, '/metrics')).body
}

/** What is taken of all that clients share, in this order: bytes, long answers, requests that wait for a connection. */
async function taken(): Promise<readonly number[]> {
  const text = await metrics()
  const sum = (series: RegExp): number => [...text.matchAll(series)].reduce((all, [, value]) => all + Number(value), 0)
  return [
    sum(/^ipfleet_edge_held_bytes (\d+)$/gm),
    sum(/^ipfleet_edge_long_answers (\d+)$/gm),
    sum(/^ipfleet_edge_backend_connections\{.*state="waiting".*\} (\d+)$/gm),
  ]
}

const head = (line: string, ...fields: string[]): string => [line, 'Host: a', ...fields, '', ''].join('\r\n')
const upgrade = ['Connection: Upgrade', 'Upgrade: x'] as const

interface Ending {
  readonly sent: string
  /** Of the requests at a backend, or of the answer, before the client leaves. */
  readonly when: (wire: Wire) => unknown
}

const answered = (status: number) => (wire: Wire) => wire.saw(new RegExp(`^HTTP/1.1 ${status} `))
const arrived =
  (path: string, count = 1) =>
  () =>
    until(() => seen(path) >= count)

test.each<[string, Ending]>([
  [
    'leaves before its body is whole',
    { sent: `${head('POST /silent HTTP/1.1', 'Content-Length: 9')}x`, when: () => heldBytes() },
  ],
  [
    'leaves after its body',
    { sent: `${head('POST /silent HTTP/1.1', 'Content-Length: 1')}x`, when: arrived('/silent') },
  ],
  ['leaves while one backend is asked', { sent: head('GET /silent HTTP/1.1'), when: arrived('/silent') }],
  ['leaves while two backends are asked', { sent: head('GET /silent HTTP/1.1'), when: arrived('/silent', 2) }],
  ['is answered by the second backend', { sent: head('GET /one-silent HTTP/1.1'), when: answered(200) }],
  ['is answered by none in time', { sent: head('GET /silent HTTP/1.1'), when: answered(504) }],
  ['meets a reset', { sent: head('GET /reset HTTP/1.1'), when: answered(502) }],
  [
    'meets a reset with its body',
    { sent: `${head('POST /reset HTTP/1.1', 'Content-Length: 1')}x`, when: answered(502) },
  ],
  ['gets half an answer', { sent: head('GET /cut HTTP/1.1'), when: ({ ended }) => ended }],
  ['leaves its events', { sent: head('GET /events HTTP/1.1'), when: (wire) => wire.saw('data: 1') }],
  ['leaves its tunnel', { sent: head('GET /switch HTTP/1.1', ...upgrade), when: answered(101) }],
  ['is refused a tunnel', { sent: head('GET /no HTTP/1.1', ...upgrade), when: answered(400) }],
  ['leaves before it has a tunnel', { sent: head('GET /silent HTTP/1.1', ...upgrade), when: arrived('/silent') }],
  [
    'expects a 100 that does not come',
    { sent: head('POST /silent HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 1'), when: headArrived },
  ],
  ['is answered', { sent: head('GET /answered HTTP/1.1', 'Expect: 100-continue'), when: answered(200) }],
])('a client that %s holds nothing any more', async (_how, { sent, when }) => {
  for (const backend of backends) backend.forget()
  const wires = await Promise.all([1, 2, 3].map(() => Wire.to(edge.port)))
  for (const wire of wires) wire.write(sent)
  await Promise.all(wires.map(when))
  for (const wire of wires) wire.destroy()
  await until(async () => (await taken()).every((count) => count === 0))
  await expectAllPlaces()
})

async function heldBytes(): Promise<void> {
  await until(async () => ((await taken())[0] ?? 0) > 0)
}

async function headArrived(): Promise<void> {
  await until(() => backends.some(({ unfinished }) => unfinished.some((text) => text.includes('/silent'))))
}

/** Half of the connections to each backend, all at the same time. */
async function expectAllPlaces(): Promise<void> {
  const answers = Array.from({ length: 8 }, () => ask(edge.port, '/hold'))
  await until(() => held.length === 8)
  for (const socket of held.splice(0)) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(8).fill(200))
}
