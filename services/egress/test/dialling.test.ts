import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import type { Dialled } from '../src/dial/dial-request.ts'
import { readParent } from '../src/sources/parent-proxy.ts'
import { DialHarness, portsBelowTheSystems, toAddresses } from './dial-harness.ts'
import { ListedPool } from './listed-pool.ts'

/** Of TEST-NET-2: no machine has it. */
const notOurs = '198.51.100.7'

let harness: DialHarness
beforeEach(() => {
  harness = new DialHarness()
})
afterEach(() => harness.clear())

function socketOf(dialled: Dialled): Socket {
  if (dialled.kind !== 'connected') throw new Error(`not connected: ${JSON.stringify(dialled)}`)
  return dialled.socket
}

describe('a dial', () => {
  test('leaves from the address that the pool gives, one for each', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5')
    const dialer = harness.dialer({ pool })
    for (let count = 0; count < 8; count += 1) await harness.dial(dialer, toAddresses(['127.0.0.1'], origin.port))
    const seen = await origin.sources(8)
    expect(seen).toEqual([2, 3, 4, 5, 2, 3, 4, 5].map((last) => `127.0.0.${last}`))
    expect(pool.requests).toHaveLength(8)
  })

  test('tells what it was asked for, what it reached and how long that took', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool('127.0.0.2')
    const session = { id: 'a', ttlSeconds: 60, hard: false }
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(['127.0.0.1'], origin.port, { session }))
    expect(pool.requests).toEqual([{ families: [4], site: `site.example:${origin.port}`, session, tried: [] }])
    expect(pool.reports).toEqual(['127.0.0.2 connected at site.example'])
    const source = { address: '127.0.0.2', family: 4, listedAs: '127.0.0.2' }
    expect(dialled).toMatchObject({ kind: 'connected', source, address: '127.0.0.1' })
    expect(dialled).toHaveProperty('durationMs', expect.any(Number))
  })

  test('gives a socket that may be half-open and carries nothing of the dial', async () => {
    const origin = await harness.origin('127.0.0.1')
    const dialer = harness.dialer({ pool: new ListedPool('127.0.0.2') })
    const socket = socketOf(await dialer.dial(toAddresses(['127.0.0.1'], origin.port)))
    expect(socket.allowHalfOpen).toBe(true)
    // The stream's own, and that of the connections of the source.
    expect(new Set(socket.eventNames())).toEqual(new Set(['end', 'close']))
    socket.destroy()
  })

  test('goes on from the next source when this machine loses the address during it', async () => {
    const { port } = await harness.silent('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '127.0.0.3')
    const dialling = harness.dial(harness.dialer({ pool, connectTimeoutMs: 2000 }), toAddresses(['127.0.0.1'], port))
    harness.connections.end('127.0.0.2')
    const dialled = await dialling
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ETIMEDOUT', source: { address: '127.0.0.3' } })
    expect(pool.reports).toEqual(['127.0.0.2 not_ours at site.example', '127.0.0.3 target_failed at site.example'])
  })

  test('lets the system choose, where the source is no address', async () => {
    const origin = await harness.origin('127.0.0.1')
    await harness.dial(harness.dialer({ pool: new ListedPool('') }), toAddresses(['127.0.0.1'], origin.port))
    expect(await origin.sources(1)).toEqual(['127.0.0.1'])
    expect(harness.connections.counts().of('')).toBe(1)
  })

  test('through a parent counts as one of its connections', async () => {
    const origin = await harness.origin('127.0.0.1')
    origin.server.on('connection', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    const read = readParent(`http://127.0.0.1:${origin.port}/#parent`)
    if (read.kind === 'fault') throw new Error(read.fault)
    const source = { address: 'parent', family: undefined, listedAs: 'parent', parent: read.parent }
    const pool = { next: () => ({ kind: 'source', source }) as const, report: () => {} }
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(['127.0.0.1'], 80))
    expect(dialled).toMatchObject({ kind: 'connected', source })
    expect(harness.connections.counts().of('parent')).toBe(1)
  })

  test('says when the pool has nothing for it', async () => {
    const pool = new ListedPool('127.0.0.2')
    const dialer = harness.dialer({ pool })
    expect(await dialer.dial(toAddresses(['::1'], 80))).toEqual({ kind: 'no_family' })
    const none = harness.dialer({ pool: { next: () => pool.none, report: () => {} } })
    expect(await none.dial(toAddresses(['127.0.0.1'], 80))).toEqual({ kind: 'no_source', retryAfterSeconds: 7 })
    pool.none = { kind: 'session_lost' }
    expect(await none.dial(toAddresses(['127.0.0.1'], 80))).toEqual({ kind: 'session_lost' })
    const failing = harness.dialer({ pool: { next: () => Promise.reject(new Error('x')), report: () => {} } })
    expect(await failing.dial(toAddresses(['127.0.0.1'], 80))).toEqual({ kind: 'no_source', retryAfterSeconds: 1 })
  })
})

describe('local ports', () => {
  test('are shared by connections to different targets, so that there may be more than ports', async () => {
    const origins = [
      await harness.origin('127.0.0.1'),
      await harness.origin('127.0.0.1'),
      await harness.origin('127.0.0.9'),
    ]
    const ports = portsBelowTheSystems(10)
    const pool = new ListedPool('127.0.0.2')
    const dialer = harness.dialer({ pool, ports })
    for (const [index, { port }] of origins.entries()) {
      const address = index === 2 ? '127.0.0.9' : '127.0.0.1'
      for (let count = 0; count < ports.length; count += 1) {
        expect((await harness.dial(dialer, toAddresses([address], port))).kind).toBe('connected')
      }
    }
    for (const origin of origins) {
      await origin.sources(ports.length)
      expect(new Set(origin.accepted.map(({ remotePort }) => remotePort))).toEqual(new Set(ports))
    }
    expect(pool.reports.every((report) => report === '127.0.0.2 connected at site.example')).toBe(true)
  })

  test('that are all taken lead to the next source, which is not to blame', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '127.0.0.3', '127.0.0.2')
    const dialer = harness.dialer({ pool, ports: portsBelowTheSystems(1) })
    const to = toAddresses(['127.0.0.1'], origin.port)
    for (let count = 0; count < 2; count += 1) await harness.dial(dialer, to)
    // Now those of both are taken.
    expect(await harness.dial(dialer, to)).toEqual({ kind: 'no_source', retryAfterSeconds: 7 })
    expect(await origin.sources(2)).toEqual(['127.0.0.2', '127.0.0.3'])
    const [first, second, ...others] = pool.reports
    expect([first, second]).toEqual(['127.0.0.2', '127.0.0.3'].map((source) => `${source} connected at site.example`))
    expect(new Set(others)).toEqual(new Set(['2', '3'].map((last) => `127.0.0.${last} no_ports at site.example`)))
    const another = await harness.origin('127.0.0.1')
    expect((await harness.dial(dialer, toAddresses(['127.0.0.1'], another.port))).kind).toBe('connected')
  })

  test('on which somebody listens are passed over', async () => {
    const origin = await harness.origin('127.0.0.1')
    const ports = portsBelowTheSystems(2)
    const [listening = 0, free = 0] = ports
    await harness.origin('127.0.0.2', listening)
    const dialer = harness.dialer({ pool: new ListedPool('127.0.0.2'), ports })
    expect((await harness.dial(dialer, toAddresses(['127.0.0.1'], origin.port))).kind).toBe('connected')
    await origin.sources(1)
    expect(origin.accepted[0]?.remotePort).toBe(free)
  })

  test('are never connected with themselves', async () => {
    const ports = portsBelowTheSystems(2)
    const [port = 0] = ports
    const dialer = harness.dialer({ pool: new ListedPool('127.0.0.2'), ports })
    for (let count = 0; count < 4; count += 1) {
      const dialled = await harness.dial(dialer, toAddresses(['127.0.0.2'], port))
      expect(dialled).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED' })
    }
  })
})

describe('a source that this machine does not have', () => {
  test('is reported, and another one taken', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool(notOurs, '127.0.0.3')
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(['127.0.0.1'], origin.port))
    expect(dialled).toMatchObject({ kind: 'connected', source: { address: '127.0.0.3' } })
    expect(pool.reports).toEqual([`${notOurs} not_ours at site.example`, '127.0.0.3 connected at site.example'])
    expect(pool.requests.map(({ tried }) => tried.map(({ address }) => address))).toEqual([[], [notOurs]])
  })

  test('of which there is no end is not tried for ever', async () => {
    const source = { address: notOurs, family: 4, listedAs: '198.51.100.0/24' } as const
    const reports: string[] = []
    const pool = {
      next: () => ({ kind: 'source', source }) as const,
      report: (_source: unknown, _site: string, outcome: string) => reports.push(outcome),
    }
    const dialled = await harness.dialer({ pool }).dial(toAddresses(['127.0.0.1'], 80))
    expect(dialled).toEqual({ kind: 'no_source', retryAfterSeconds: 1 })
    expect(reports).toEqual(Array.from({ length: 8 }, () => 'not_ours'))
  })
})

describe('a target', () => {
  test('that refuses is not asked again from another address', async () => {
    const port = await harness.closedPort('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '127.0.0.3')
    const dialled = await harness.dialer({ pool }).dial(toAddresses(['127.0.0.1'], port))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED', source: { address: '127.0.0.2' } })
    expect(pool.reports).toEqual(['127.0.0.2 target_failed at site.example'])
    expect(pool.requests).toHaveLength(1)
  })

  test('that does not answer is waited for as long as was said', async () => {
    const { port } = await harness.silent('127.0.0.1')
    const pool = new ListedPool('127.0.0.2')
    const startedMs = performance.now()
    const dialled = await harness.dialer({ pool, connectTimeoutMs: 300 }).dial(toAddresses(['127.0.0.1'], port))
    expect(performance.now() - startedMs).toBeLessThan(15_000)
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ETIMEDOUT', source: { address: '127.0.0.2' } })
    expect(pool.reports).toEqual(['127.0.0.2 target_failed at site.example'])
  })

  test('is tried at each of its addresses, from one source', async () => {
    const { port } = await harness.silent('127.0.0.6')
    const origin = await harness.origin('127.0.0.8', port)
    const pool = new ListedPool('127.0.0.2', '127.0.0.3')
    const dialer = harness.dialer({ pool, connectTimeoutMs: 5000 })
    const dialled = await harness.dial(dialer, toAddresses(['127.0.0.6', '127.0.0.7', '127.0.0.8'], port))
    expect(dialled).toMatchObject({ kind: 'connected', address: '127.0.0.8', source: { address: '127.0.0.2' } })
    expect(await origin.sources(1)).toEqual(['127.0.0.2'])
    expect(pool.reports).toEqual(['127.0.0.2 connected at site.example'])
    expect(pool.requests).toHaveLength(1)
  })

  test('counts as failed once, whatever the number of its addresses', async () => {
    const port = await harness.closedPort('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '127.0.0.3')
    const dialled = await harness.dialer({ pool }).dial(toAddresses(['127.0.0.1', '127.0.0.7', '127.0.0.8'], port))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED' })
    expect(pool.reports).toEqual(['127.0.0.2 target_failed at site.example'])
  })
})

describe('a client that leaves', () => {
  const gone = AbortSignal.abort()

  test('before the dial ends it before anything is used', async () => {
    const pool = new ListedPool('127.0.0.2')
    expect(await harness.dialer({ pool }).dial(toAddresses(['127.0.0.1'], 80, { signal: gone }))).toEqual({
      kind: 'aborted',
    })
    expect(pool.requests).toEqual([])
  })

  test('while the pool is asked ends it at once, and nothing is connected later', async () => {
    const origin = await harness.origin('127.0.0.1')
    const [pool, answer, leaves] = [new ListedPool('127.0.0.2'), Promise.withResolvers(), new AbortController()]
    pool.answersAfter = answer.promise
    const { signal } = leaves
    const dialling = harness.dialer({ pool }).dial(toAddresses(['127.0.0.1'], origin.port, { signal }))
    leaves.abort()
    expect(await dialling).toEqual({ kind: 'aborted' })
    answer.resolve(undefined)
    // Had it dialled, this one would come second.
    await harness.dial(harness.dialer({ pool: new ListedPool('127.0.0.3') }), toAddresses(['127.0.0.1'], origin.port))
    expect(await origin.sources(1)).toEqual(['127.0.0.3'])
    expect(pool.reports).toEqual([])
  })

  test('while it connects ends it at once; nobody is to blame, and no socket is left', async () => {
    const { port } = await harness.silent('127.0.0.1')
    const [pool, leaves] = [new ListedPool('127.0.0.2'), new AbortController()]
    const openBefore = openSockets()
    const dialling = harness.dialer({ pool }).dial(toAddresses(['127.0.0.1'], port, { signal: leaves.signal }))
    await until(() => openSockets() > openBefore)
    leaves.abort()
    expect(await dialling).toEqual({ kind: 'aborted' })
    expect(pool.reports).toEqual([])
    await until(() => openSockets() === openBefore)
  })

  test('just when the attempt fails does no harm', async () => {
    const pool = new ListedPool(notOurs)
    for (let count = 0; count < 20; count += 1) {
      const leaves = new AbortController()
      const dialling = harness.dialer({ pool }).dial(toAddresses(['127.0.0.1'], 80, { signal: leaves.signal }))
      const wait = [() => leaves.abort(), () => queueMicrotask(() => leaves.abort())][count % 2]
      process.nextTick(() => wait?.())
      expect(['aborted', 'no_source']).toContain((await dialling).kind)
    }
  })
})

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => /^TCP(Socket|Connect)?Wrap$|TCPConnectWrap/.test(kind))
    .length
}
