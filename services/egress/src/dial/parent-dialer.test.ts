import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import type { Wire } from '@ipfleet/testing/wire.ts'
import { readParent } from '../sources/parent-proxy.ts'
import { ParentDialer, type ParentEnd } from './parent-dialer.ts'

const addresses: Readonly<Record<string, readonly string[]>> = {
  'parent.test': ['127.0.0.1'],
  // Nobody listens at the first two.
  'three.test': ['127.0.0.99', '::1', '127.0.0.1'],
}
const lookUp = async (name: string) => (addresses[name] ?? []).map((address) => ({ address }))

let backend: ScriptedBackend
let dialer: ParentDialer
beforeAll(async () => {
  backend = await ScriptedBackend.start()
  const names = new NameLookups({ lookUp, clock: monotonicClock, timeoutMs: 10_000 })
  dialer = new ParentDialer({ names, clock: monotonicClock })
})
afterAll(() => backend[Symbol.asyncDispose]())

const never = new AbortController().signal
const target = { host: '192.0.2.1', port: 443 }

function open(url: string, to = target, signal = never): Promise<ParentEnd> {
  const read = readParent(url.replace('PARENT', `127.0.0.1:${backend.port}`).replace('PORT', String(backend.port)))
  if (read.kind === 'fault') throw new Error(read.fault)
  return dialer.open(read.parent, to, signal)
}

/** Whose tunnel has been asked for by CONNECT, and answered. */
async function answered(bytes: string, url = 'http://PARENT'): Promise<ParentEnd> {
  const end = open(url)
  const wire = await backend.accept()
  await wire.saw('\r\n\r\n')
  wire.write(bytes)
  const ended = await end
  wire.destroy()
  if (ended.kind === 'connected') ended.socket.destroy()
  return ended
}

describe('by CONNECT', () => {
  test('what the parent is told, and what the target says at once is not lost', async () => {
    const end = open('http://us%C3%A9r:p%40ss@parent.test:PORT', { host: '2001:db8::1', port: 80 })
    const wire = await backend.accept()
    const pair = Buffer.from('usér:p@ss').toString('base64')
    const authority = '[2001:db8::1]:80'
    expect(await wire.saw('\r\n\r\n')).toBe(
      `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Basic ${pair}\r\n\r\n`,
    )
    wire.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\nX: y\n\nhello')
    const connected = await end
    if (connected.kind !== 'connected') throw new Error(JSON.stringify(connected))
    const [first] = await once(connected.socket.resume(), 'data')
    expect(String(first)).toBe('hello')
    connected.socket.destroy()
  })

  test.each([
    ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', { kind: 'parent_failed', code: 'parent answered 407' }],
    ['HTTP/1.1 429 Too Many Requests\r\n\r\n', { kind: 'parent_failed', code: 'parent answered 429' }],
    ['HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', { kind: 'target_failed', code: 'parent answered 403' }],
    ['HTTP/1.1 503 Service Unavailable\r\n\r\n', { kind: 'target_failed', code: 'parent answered 503' }],
    ['HTTP/1.1 504 Gateway Timeout\r\n\r\n', { kind: 'target_failed', code: 'ETIMEDOUT' }],
    ['SSH-2.0-OpenSSH_9.2\r\n\r\n', { kind: 'parent_failed', code: 'parent speaks no HTTP' }],
    [`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(20_000)}`, { kind: 'parent_failed', code: 'parent too_large' }],
  ])('the answer %j is told', async (bytes, expected) => {
    expect(await answered(bytes)).toEqual(expected)
  })

  test('a parent that hangs up, or is not there, has failed', async () => {
    const end = open('http://PARENT')
    ;(await backend.accept()).socket.end()
    expect(await end).toEqual({ kind: 'parent_failed', code: 'parent left' })
    expect(await open('http://nowhere.test')).toEqual({ kind: 'parent_failed', code: 'ENODATA' })
    await using gone = await ScriptedBackend.start()
    const { port } = gone
    await gone[Symbol.asyncDispose]()
    expect(await open(`http://127.0.0.1:${port}`)).toEqual({ kind: 'parent_failed', code: 'ECONNREFUSED' })
  })

  test('a parent is reached at whichever address of its name answers', async () => {
    expect(await answered('HTTP/1.1 200 OK\r\n\r\n', 'http://three.test:PORT')).toMatchObject({ kind: 'connected' })
  })

  test('a dial that is given up closes its connection', async () => {
    const stop = new AbortController()
    const end = open('http://PARENT', target, stop.signal)
    const wire = await backend.accept()
    await wire.saw('\r\n\r\n')
    stop.abort()
    await wire.ended
    expect((await end).kind).toBe('parent_failed')
  })
})

/** Says these bytes in answer to as many bytes of the other side. */
async function converse(wire: Wire, ...turns: readonly (readonly [length: number, answer: string])[]): Promise<string> {
  let length = 0
  for (const [more, answer] of turns) {
    length += more
    await wire.saw(new RegExp(`^[^]{${length}}`))
    wire.write(answer)
  }
  return wire.text
}

describe('by SOCKS5', () => {
  test.each([
    ['an IPv4 address', '192.0.2.1', '\x01\xc0\x00\x02\x01'],
    ['an IPv6 address', '2001:db8::1', '\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01'],
    ['a name', 'a.test', '\x03\x06a.test'],
  ])(
    'a tunnel to %s is asked for with a password, and what the target says at once is not lost',
    async (_what, host, address) => {
      const end = open('socks5://me:p%40ss@PARENT', { host, port: 443 })
      const wire = await backend.accept()
      const request = `\x05\x01\x00${address}\x01\xbb`
      const reply = '\x05\x00\x00\x03\x04nameab'
      const said = await converse(wire, [4, '\x05\x02'], [9, '\x01\x00'], [request.length, `${reply}hello`])
      expect(said).toBe(`\x05\x02\x00\x02\x01\x02me\x04p@ss${request}`)
      const connected = await end
      if (connected.kind !== 'connected') throw new Error(JSON.stringify(connected))
      const [first] = await once(connected.socket.resume(), 'data')
      expect(String(first)).toBe('hello')
      connected.socket.destroy()
    },
  )

  test.each([
    [3, { kind: 'target_failed', code: 'ENETUNREACH' }],
    [4, { kind: 'target_failed', code: 'EHOSTUNREACH' }],
    [5, { kind: 'target_failed', code: 'ECONNREFUSED' }],
    [6, { kind: 'target_failed', code: 'ETIMEDOUT' }],
    [2, { kind: 'target_failed', code: 'parent replied 2' }],
    [1, { kind: 'target_failed', code: 'parent replied 1' }],
  ])('reply %d is told', async (reply, expected) => {
    const end = open('socks5://PARENT')
    const wire = await backend.accept()
    const bytes = `\x05${String.fromCharCode(reply)}\0\x01\0\0\0\0\0\0`
    expect(await converse(wire, [3, '\x05\x00'], [10, bytes])).toContain('\x05\x01\x00\x05\x01\x00\x01')
    expect(await end).toEqual(expected)
    wire.destroy()
  })

  test.each<[string, readonly (readonly [number, string])[], string]>([
    ['another method', [[4, '\x05\xff']], 'parent wants another login'],
    [
      'a refused password',
      [
        [4, '\x05\x02'],
        [9, '\x01\x01'],
      ],
      'parent refuses the password',
    ],
    ['HTTP', [[4, 'HTTP/1.1 400 Bad Request\r\n']], 'parent speaks no SOCKS5'],
  ])('a parent that answers with %s has failed', async (_what, turns, code) => {
    const end = open('socks5://me:p%40ss@PARENT')
    const wire = await backend.accept()
    await converse(wire, ...turns)
    expect(await end).toEqual({ kind: 'parent_failed', code })
    wire.destroy()
  })
})
