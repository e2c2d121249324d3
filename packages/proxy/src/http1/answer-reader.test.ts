import { describe, expect, test } from '@jest/globals'
import { AnswerReader } from './answer-reader.ts'
import { UpstreamFault } from './upstream-fault.ts'

interface Request {
  readonly method?: string
  readonly asksToSwitch?: boolean
}

const latin1 = (bytes: Buffer): string => bytes.toString('latin1')

/** What a reader tells of these bytes, with neighbouring parts of a body put together. */
function read(parts: readonly Buffer[], { method = 'GET', asksToSwitch = false }: Request = {}): string[] {
  const told: string[] = []
  let body: string | undefined
  const tellBody = (): void => {
    if (body !== undefined) told.push(`body ${body}`)
    body = undefined
  }
  const tell = (what: string): void => {
    tellBody()
    told.push(what)
  }
  const reader = new AnswerReader({
    interim: ({ status }) => tell(`interim ${status}`),
    answered: ({ status }, whole, rest, isReusable) => {
      tell(`answered ${status}`)
      // Whether a body came whole depends on the split, what it is does not.
      if (whole === undefined) return
      if (whole.length > 0) body = latin1(whole)
      tell(`ended [] ${latin1(rest)} ${isReusable}`)
    },
    data: (chunk) => (body = (body ?? '') + latin1(chunk)),
    ended: (trailers, rest, isReusable) => tell(`ended [${trailers.join()}] ${latin1(rest)} ${isReusable}`),
    switched: ({ upgrade }, early) => tell(`switched ${upgrade} ${latin1(early)}`),
  })
  reader.expect(method, asksToSwitch)
  try {
    for (const part of parts) if (!/^(?:ended|switched)/.test(told.at(-1) ?? '')) reader.push(part)
  } catch (error) {
    if (!(error instanceof UpstreamFault)) throw error
    tell(`${error.kind}: ${error.message}`)
  }
  tellBody()
  return told
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('an answer is the same wherever it is split', () => {
  test.each<[string, string, Request, string[]]>([
    [
      'with a length',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      {},
      ['answered 200', 'body hello', 'ended []  true'],
    ],
    ['empty', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', {}, ['answered 200', 'ended []  true']],
    [
      'behind empty lines',
      '\r\n\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      {},
      ['answered 200', 'body hello', 'ended []  false'],
    ],
    ['without fields', 'HTTP/1.1 204\r\n\r\n', {}, ['answered 204', 'ended []  true']],
    [
      'to HEAD',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
      { method: 'HEAD' },
      ['answered 200', 'ended []  false'],
    ],
    [
      'in chunks, with trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n',
      {},
      ['answered 200', 'body hello', 'ended [A,b]  true'],
    ],
    [
      'of a server that closes',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
      {},
      ['answered 200', 'body hi', 'ended []  false'],
    ],
    ['until the end', 'HTTP/1.1 200 OK\r\n\r\nhello', {}, ['answered 200', 'body hello']],
    [
      'after interims',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 304 x\r\n\r\n',
      {},
      ['interim 100', 'interim 103', 'answered 304', 'ended []  true'],
    ],
    [
      'with line ends of LF alone',
      'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello',
      {},
      ['answered 200', 'body hello', 'ended []  false'],
    ],
    [
      'with an empty line of LF alone',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello',
      {},
      ['answered 200', 'body hello', 'ended []  false'],
    ],
    [
      'with a last field that ends in LF alone',
      'HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\n\r\nhello',
      {},
      ['answered 200', 'body hello', 'ended []  false'],
    ],
    [
      'in chunks, with one line end of LF alone in the head',
      'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
      {},
      ['answered 200', 'body hi', 'ended []  false'],
    ],
    [
      'with a body that looks like the end of a head',
      'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na\n\nb\n\n',
      {},
      ['answered 200', 'body a\n\nb\n\n', 'ended []  true'],
    ],
    [
      'after an interim one that ends in LF alone',
      'HTTP/1.1 103 Early Hints\nLink: a\n\nHTTP/1.1 204 x\r\n\r\n',
      {},
      ['interim 103', 'answered 204', 'ended []  false'],
    ],
    [
      'after an interim one of another version',
      'HTTP/1.2 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n',
      {},
      ['interim 100', 'answered 204', 'ended []  false'],
    ],
    [
      'after an interim one that announces a body',
      'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 x\r\n\r\n',
      {},
      ['interim 103', 'answered 204', 'ended []  false'],
    ],
    [
      'after an interim one that closes',
      'HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\nHTTP/1.1 204 x\r\n\r\n',
      {},
      ['interim 100', 'answered 204', 'ended []  false'],
    ],
    [
      'garbled in the middle',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nx',
      {},
      ['answered 200', 'body he', 'garbled: a bare LF in a chunked body'],
    ],
  ])('%s', (_what, text, request, told) => {
    const whole = bytes(text.endsWith('x') ? `${text}\n` : text)
    expect(read([whole], request)).toEqual(told)
    expect(
      read(
        Array.from(whole, (byte) => Buffer.of(byte)),
        request,
      ),
    ).toEqual(told)
    for (let at = 1; at < whole.length; at += 1) {
      expect([at, read([whole.subarray(0, at), whole.subarray(at)], request)]).toEqual([at, told])
    }
  })
})

describe('what comes after the end of an answer', () => {
  test.each<[string, string, Request, string]>([
    ['a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', {}, 'HTTP/1.1 200'],
    ['an answer to HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', { method: 'HEAD' }, 'hi'],
    ['204', 'HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n', {}, 'hi'],
    ['304', 'HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n', {}, '0\r\n\r\n'],
    ['the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', {}, '\r\n'],
  ])('is told apart: %s', (_what, answer, request, rest) => {
    // Where there can be no body, a server may send one all the same.
    const isReusable = answer.startsWith('HTTP/1.1 200') && request.method !== 'HEAD'
    expect(read([bytes(answer + rest)], request).at(-1)).toBe(`ended [] ${rest} ${isReusable}`)
  })
})

describe('interim answers', () => {
  test('may be many, not endless', () => {
    const some = (count: number): Buffer => bytes('HTTP/1.1 102 Processing\r\n\r\n'.repeat(count))
    expect(read([some(32), bytes('HTTP/1.1 204 x\r\n\r\n')]).slice(-2)).toEqual(['answered 204', 'ended []  true'])
    expect(read([some(33)]).at(-1)).toBe('garbled: too many interim answers')
    expect(read(Array.from({ length: 33 }, () => some(1))).at(-1)).toBe('garbled: too many interim answers')
  })

  test('have no body', () => {
    const text = 'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n'
    expect(read([bytes(text)])).toEqual(['interim 103', 'garbled: the status line is malformed'])
  })
})

describe('a switch of protocols', () => {
  const text = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly'

  test('hands over what came early', () => {
    expect(read([bytes(text)], { asksToSwitch: true })).toEqual(['switched websocket early'])
    expect(read([bytes('HTTP/1.1 100 x\r\n\r\n'), bytes(text)], { asksToSwitch: true }).at(-1)).toBe(
      'switched websocket early',
    )
  })

  test('is refused to whoever did not ask', () => {
    expect(read([bytes(text)])).toEqual(['garbled: the server switched protocols unasked'])
  })
})

const headOf = (length: number): Buffer => {
  const start = 'HTTP/1.1 204 x\r\nX-Long: '
  return bytes(`${start}${'y'.repeat(length - start.length - 4)}\r\n\r\n`)
}

describe('a head', () => {
  test('may be 64 KB long', () => {
    expect(read([headOf(65_536)])).toEqual(['answered 204', 'ended []  true'])
    const whole = headOf(65_536)
    expect(read([whole.subarray(0, 65_535), whole.subarray(65_535)])).toEqual(['answered 204', 'ended []  true'])
  })

  test('may not be longer', () => {
    const told = ['garbled: the head of the answer is too long']
    expect(read([headOf(65_537)])).toEqual(told)
    expect(read([headOf(200_000).subarray(0, 100_000)])).toEqual(told)
    const parts = Array.from({ length: 70 }, (_, index) => headOf(200_000).subarray(index * 1000, (index + 1) * 1000))
    expect(read(parts)).toEqual(told)
  })

  test('has begun with its first line, and not with empty ones before it, of which there are few', () => {
    const reader = new AnswerReader({ interim() {}, answered() {}, data() {}, ended() {}, switched() {} })
    reader.expect('GET', false)
    reader.push(bytes('\r\n'))
    expect(reader.hasBegun).toBe(false)
    reader.push(bytes('H'))
    expect(reader.hasBegun).toBe(true)
    expect(read([bytes('\r\n'.repeat(32)), bytes('\r\n')])).toEqual(['garbled: no HTTP/1 answer'])
  })

  test('may be followed by a body that is longer', () => {
    const body = 'z'.repeat(200_000)
    expect(read([bytes(`HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${body}`)])[1]).toBe(`body ${body}`)
  })

  test.each(['S', 'SSH-2.0-OpenSSH_9.6\r\n', 'HTTPS', '\r\n<', '\x16\x03\x01', '220 mail ESMTP\r\n', '\0'])(
    'of another protocol is refused before its end: %j',
    (text) => {
      expect(read([bytes(text)])).toEqual(['garbled: no HTTP/1 answer'])
    },
  )
})

test('a head that comes in small pieces is looked through once', () => {
  const head = `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(10_000)}`
  const pieces = Array.from({ length: head.length / 4 }, (_, index) => bytes(head.slice(4 * index, 4 * index + 4)))
  const before = process.threadCpuUsage()
  expect(read(pieces)).toEqual([])
  expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(700)
})
