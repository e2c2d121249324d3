import { once } from 'node:events'
import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import type { LaneExchange } from '@ipfleet/http-server/fast-lane/lane-exchange.ts'
import { FastLaneAnswer } from './fast-lane-answer.ts'

/** A connection whose client takes nothing until `taken` is called. */
function unreadConnection() {
  const writes: (() => void)[] = []
  const stream = new Duplex({
    writableHighWaterMark: 40_000,
    read() {},
    write: (_chunk, _encoding, written) => void writes.push(written),
  })
  return { socket: stream as Socket, taken: () => writes.splice(0).forEach((written) => written()) }
}

function exchangeOn(socket: Socket): LaneExchange & { written: string } {
  return {
    written: '',
    staysOpen: true,
    socket,
    connectionFields: () => ({ date: 'Date: now\r\n', connection: 'Connection: keep-alive\r\n', all: '' }),
    end(answer: string) {
      this.written = answer
      socket.write(answer, 'latin1')
      if (socket.writableNeedDrain) socket.once('drain', () => this.listener.closed())
    },
    response: () => {
      throw new Error('This answer is whole')
    },
    listener: { closed() {} },
  }
}

const ok = { status: 200, reason: 'OK' }

test('a whole answer is one write, with the date that it has or else ours', () => {
  const exchange = exchangeOn(unreadConnection().socket)
  new FastLaneAnswer(exchange).whole(ok, ['X-A', 'caf\xe9', 'Content-Length', '1'], Buffer.from('\xff', 'latin1'))
  expect(exchange.written).toBe(
    'HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nContent-Length: 1\r\nDate: now\r\nConnection: keep-alive\r\n\r\n\xff',
  )
  const dated = exchangeOn(unreadConnection().socket)
  new FastLaneAnswer(dated).whole({ status: 304, reason: '' }, ['date', 'then'], Buffer.alloc(0))
  expect(dated.written).toBe('HTTP/1.1 304 \r\ndate: then\r\nConnection: keep-alive\r\n\r\n')
})

test('a client is waited for only as long as it will be told of', async () => {
  const { socket, taken } = unreadConnection()
  const body = Buffer.alloc(15_000, 'x')
  const answers = Array.from({ length: 3 }, () => new FastLaneAnswer(exchangeOn(socket)))
  const told: number[] = []
  for (const [index, answer] of answers.entries()) {
    answer.listener = { clientReads() {}, clientGone: () => told.push(index) }
    answer.whole(ok, [], body)
    // Over 16 KiB are unread after the second one, and more than the connection holds after the third.
    expect(answer.pending).toBe(index === 2)
  }
  const drained = once(socket, 'drain')
  while (socket.writableLength > 0) taken()
  await drained
  expect(told).toEqual([2])
})
