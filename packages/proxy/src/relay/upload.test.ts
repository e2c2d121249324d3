import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { beforeEach, describe, expect, test } from '@jest/globals'
import type { RawFields } from '../http1/exchange-types.ts'
import { ForwardedHeaders } from '../forwarded-headers.ts'
import { bodyOf, Upload } from './upload.ts'

/** An exchange that notes what it is given, and flows unless told not to. */
class FakeExchange {
  flows = true
  text = ''
  trailers: RawFields | undefined

  write(chunk: Buffer): boolean {
    this.text += chunk.toString()
    return this.flows
  }

  finish(trailers: RawFields = []): void {
    this.trailers = trailers
  }
}

let req: IncomingMessage
let exchange: FakeExchange
let tooLarge: number
beforeEach(() => {
  req = new IncomingMessage(new Socket())
  exchange = new FakeExchange()
  tooLarge = 0
})

const limits = { bodyTimeoutMs: 1000, minBodyBytesPerSecond: 100 }
const uploadOf = (maxBytes = 0): Upload => new Upload(req, limits, maxBytes, () => void (tooLarge += 1))

/** What the client sends now, and what comes of it. */
async function sends(text: string | null): Promise<void> {
  req.push(text === null ? null : Buffer.from(text))
  await new Promise(setImmediate)
}

describe('a body', () => {
  test('goes on as it comes, and its trailers at the end', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    await sends('one ')
    await sends('two')
    expect([exchange.text, upload.complete]).toEqual(['one two', false])
    req.rawTrailers = ['X-Sum', '1']
    await sends(null)
    expect([exchange.trailers, upload.complete]).toEqual([['X-Sum', '1'], true])
  })

  test('is not read as long as the server takes no more', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    exchange.flows = false
    await sends('one')
    expect(req.isPaused()).toBe(true)
    await sends('two')
    expect(exchange.text).toBe('one')
    exchange.flows = true
    upload.drained()
    await new Promise(setImmediate)
    expect(exchange.text).toBe('onetwo')
  })

  test('of which nobody has taken anything goes to another server from the start', async () => {
    const upload = uploadOf()
    exchange.flows = false
    upload.sendBy(exchange)
    await sends('one')
    const next = new FakeExchange()
    upload.sendBy(next)
    await sends('two')
    await sends(null)
    expect([next.text, next.trailers]).toEqual(['onetwo', []])
    expect(exchange.trailers).toBeUndefined()
  })

  test('that begins after two servers could not be reached goes to a third from the start', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    const second = new FakeExchange()
    upload.sendBy(second)
    second.flows = false
    await sends('one')
    const third = new FakeExchange()
    upload.sendBy(third)
    await sends('two')
    await sends(null)
    expect([third.text, third.trailers]).toEqual(['onetwo', []])
  })

  test('that turned out empty goes to another server as one that has ended', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    await sends(null)
    const next = new FakeExchange()
    upload.sendBy(next)
    expect([next.text, next.trailers, upload.complete]).toEqual(['', [], true])
  })

  test('that is over its limit is told of, and no more of it goes on', async () => {
    uploadOf(5).sendBy(exchange)
    await sends('12345')
    expect([exchange.text, tooLarge]).toEqual(['12345', 0])
    await sends('6')
    expect([exchange.text, tooLarge]).toEqual(['12345', 1])
  })

  test('that nobody wants any more is read and forgotten', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    upload.stop()
    await sends('rest')
    await sends(null)
    expect([exchange.text, exchange.trailers, req.readableEnded]).toEqual(['', undefined, true])
  })

  test('that a server has held up is read and forgotten when nobody wants it any more', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    exchange.flows = false
    await sends('one')
    upload.stop()
    await sends('rest')
    await sends(null)
    expect([exchange.text, req.readableEnded]).toEqual(['one', true])
  })
})

describe('a client is late', () => {
  test('when less comes than must, whatever had come at once', async () => {
    const beforeMs = performance.now()
    const upload = uploadOf()
    upload.sendBy(exchange)
    const afterMs = performance.now()
    expect([upload.isLate(beforeMs + 900), upload.isLate(afterMs + 1100)]).toEqual([false, true])
    await sends('x'.repeat(100))
    expect([upload.isLate(beforeMs + 1900), upload.isLate(afterMs + 2100)]).toEqual([false, true])
  })

  test('never while the server holds it up', async () => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    exchange.flows = false
    await sends('x')
    expect(upload.isLate(performance.now() + 100_000)).toBe(false)
    upload.drained()
    expect(upload.isLate(performance.now() + 100_000)).toBe(true)
  })

  test.each(['complete', 'stopped'])('never when its body is %s', async (how) => {
    const upload = uploadOf()
    upload.sendBy(exchange)
    if (how === 'stopped') upload.stop()
    else await sends(null)
    expect(upload.isLate(performance.now() + 100_000)).toBe(false)
  })
})

/** Of a request of this version with these fields; `stream` is that of HTTP/2. */
function bodyIn(httpVersionMajor: number, raw: readonly string[], stream?: { endAfterHeaders: boolean }) {
  return bodyOf(Object.assign(req, { httpVersionMajor, stream }), new ForwardedHeaders(raw))
}

describe('the end of a body is known', () => {
  test('by its length, by its chunks, or there is none', () => {
    expect(bodyIn(1, ['Content-Length', '12'])).toBe(12)
    expect(bodyIn(1, ['Transfer-Encoding', 'chunked'])).toBe('chunked')
    expect(bodyIn(1, [])).toBe('none')
  })

  test('in HTTP/2 by the stream, of which no field need speak', () => {
    expect(bodyIn(2, [], { endAfterHeaders: true })).toBe('none')
    expect(bodyIn(2, [], { endAfterHeaders: false })).toBe('chunked')
  })
})
