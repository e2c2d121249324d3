import type { FakeKey } from './fake-ipinfo/accounts.ts'
import type { FakeCall, FakeStats } from './fake-ipinfo/call-log.ts'
import type { Behaviour, FaultScope } from './fake-ipinfo/faults.ts'

/** The scope of a fault, in so far as it can be sent. */
export type RemoteScope = Omit<FaultScope, 'when'>

/** A fake IPinfo of another process. Every method rejects when the fake is gone or refuses. */
export interface FakeControl {
  behave(behaviour: Behaviour & { readonly when?: never }): Promise<void>
  heal(): Promise<void>
  /** Holds the answers of matching calls until `release`. */
  hold(scope?: RemoteScope): Promise<void>
  /** Opens all gates. */
  release(): Promise<void>
  calls(): Promise<FakeCall[]>
  stats(): Promise<FakeStats>
  clearCalls(): Promise<void>
  /** Resolves when `count` matching calls are in the log; rejects after `timeoutMs`, 30 s unless told and at most. */
  waitForCalls(count: number, scope?: RemoteScope & { readonly timeoutMs?: number }): Promise<FakeCall>
  resetQuota(token?: string): Promise<void>
  /** Changes what a key may do; it keeps what it has used. Undefined: the token is unknown from now on. */
  setKey(token: string, key: FakeKey | undefined): Promise<void>
  /** The addresses about which every key is refused, in place of those before. */
  block(addresses: readonly string[]): Promise<void>
}

/** Controls the fake at `url`, as `fake-ipinfo-main.ts` prints it. */
export function fakeControl(url: string): FakeControl {
  async function ask<T>(method: string, path: string, input?: object): Promise<T> {
    const body = input === undefined ? null : JSON.stringify(input)
    const response = await fetch(new URL(`/_fake/${path}`, url), { method, body })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /_fake/${path} answered ${response.status}: ${text}`)
    const answer: T = JSON.parse(text)
    return answer
  }
  async function tell(method: string, path: string, input?: object): Promise<void> {
    await ask(method, path, input)
  }
  return {
    behave: (behaviour) => tell('POST', 'behave', behaviour),
    heal: () => tell('POST', 'heal'),
    hold: (scope = {}) => tell('POST', 'hold', scope),
    release: () => tell('POST', 'release'),
    calls: () => ask<FakeCall[]>('GET', 'calls'),
    stats: () => ask<FakeStats>('GET', 'stats'),
    clearCalls: () => tell('DELETE', 'calls'),
    waitForCalls: (count, { timeoutMs = 30_000, ...scope } = {}) =>
      ask<FakeCall>('POST', 'wait', { ...scope, count, timeoutMs }),
    resetQuota: (token) => tell('POST', 'quota/reset', { token }),
    setKey: (token, key) => tell('PUT', 'key', { token, key }),
    block: (addresses) => tell('PUT', 'blocked', { addresses }),
  }
}
