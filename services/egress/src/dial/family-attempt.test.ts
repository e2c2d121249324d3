import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { SourceConnections } from '../sources/source-connections.ts'
import { readParent } from '../sources/parent-proxy.ts'
import type { CheckVerdict, Source, SourceOutcome, SourcePool } from '../sources/source-pool.ts'
import { type AttemptEnd, FamilyAttempt } from './family-attempt.ts'
import { LocalPorts } from './local-ports.ts'
import { ParentDialer } from './parent-dialer.ts'

const clock = monotonicClock
const source: Source = { address: '127.0.0.2', family: 4, listedAs: '127.0.0.2' }

/** `connect` fails as Linux lets it where there is no route. */
class NoRoute extends SourceConnections {
  override add(_source: Source, socket: Socket): void {
    socket.destroy(Object.assign(new Error('no route'), { code: 'ENETUNREACH', syscall: 'connect' }))
  }
}

class OneSource implements SourcePool {
  readonly reported: SourceOutcome[] = []
  readonly #source: Source

  constructor(one: Source) {
    this.#source = one
  }

  next({ tried }: Parameters<SourcePool['next']>[0]) {
    return tried.length === 0
      ? { kind: 'source' as const, source: this.#source }
      : { kind: 'all_out' as const, retryAfterSeconds: 1 }
  }

  report(_source: Source, _site: string, outcome: SourceOutcome): void {
    this.reported.push(outcome)
  }
}

test.each<[string, CheckVerdict, SourceOutcome, AttemptEnd]>([
  ['is still there', { kind: 'good' }, 'target_failed', { kind: 'failed', code: 'ENETUNREACH', source }],
  ['was removed', { kind: 'not_ours' }, 'not_ours', { kind: 'no_source', retryAfterSeconds: 1 }],
])('where there is no route, and the source %s, %p: it is %s', async (_what, verdict, outcome, expected) => {
  const pool = new OneSource(source)
  const parents = new ParentDialer({
    names: new NameLookups({ lookUp: async () => [], clock, timeoutMs: 1000 }),
    clock,
  })
  const deps = { pool, parents, clock, ports: LocalPorts.ofSystem(), connections: new NoRoute(async () => verdict) }
  const end = await new Promise((resolve) => {
    const target = { host: '127.0.0.1', port: 9, isAddress: true }
    const signal = new AbortController().signal
    const request = { target, addresses: [{ address: '127.0.0.1', family: 4 } as const], session: undefined, signal }
    new FamilyAttempt(deps, [4], { request, deadlineMs: Infinity, decided() {}, over: resolve }).start()
  })
  expect(end).toEqual(expected)
  expect(pool.reported).toEqual([outcome])
})

test('a parent that is slow to be found has its time, however many addresses the target has', async () => {
  await using parentServer = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
  }).listen(0, '127.0.0.1')
  await once(parentServer, 'listening')
  const { port } = parentServer.address() as AddressInfo
  const timeoutMs = 16_000
  const lookUp = async (): Promise<{ address: string }[]> => {
    await sleep(0.13 * timeoutMs)
    return [{ address: '127.0.0.1' }]
  }
  const parents = new ParentDialer({ names: new NameLookups({ lookUp, clock, timeoutMs }), clock })
  const read = readParent(`http://parent.test:${port}`)
  if (read.kind !== 'parent') throw new Error(JSON.stringify(read))
  const pool = new OneSource({ address: 'parent', listedAs: 'parent', family: undefined, parent: read.parent })
  const deps = {
    pool,
    parents,
    clock,
    ports: LocalPorts.ofSystem(),
    connections: new SourceConnections(async () => ({ kind: 'good' })),
  }
  const end = await new Promise<AttemptEnd>((resolve) => {
    const target = { host: 'target.test', port: 9, isAddress: false }
    const addresses = [1, 2, 3, 4].map((last) => ({ address: `192.0.2.${last}`, family: 4 }) as const)
    const request = { target, addresses, session: undefined, signal: new AbortController().signal }
    const deadlineMs = clock.nowMs() + timeoutMs
    new FamilyAttempt(deps, [4, 6], { request, deadlineMs, decided() {}, over: resolve }).start()
  })
  expect(end).toMatchObject({ kind: 'connected', address: '192.0.2.1' })
  if (end.kind === 'connected') end.socket.destroy()
  expect(pool.reported).toEqual(['connected'])
})
