import type { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { SourceConnections } from '../sources/source-connections.ts'
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

/** Has one source. */
class OneSource implements SourcePool {
  readonly reported: SourceOutcome[] = []

  next({ tried }: Parameters<SourcePool['next']>[0]) {
    return tried.length === 0 ? { kind: 'source' as const, source } : { kind: 'all_out' as const, retryAfterSeconds: 1 }
  }

  report(_source: Source, _site: string, outcome: SourceOutcome): void {
    this.reported.push(outcome)
  }
}

test.each<[string, CheckVerdict, SourceOutcome, AttemptEnd]>([
  ['is still there', { kind: 'good' }, 'target_failed', { kind: 'failed', code: 'ENETUNREACH', source }],
  ['was removed', { kind: 'not_ours' }, 'not_ours', { kind: 'no_source', retryAfterSeconds: 1 }],
])('where there is no route, and the source %s, %p: it is %s', async (_what, verdict, outcome, expected) => {
  const pool = new OneSource()
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
