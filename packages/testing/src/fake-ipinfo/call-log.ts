import type { FakeHost } from './request.ts'

/** One request that arrived, as the log keeps it. */
export interface FakeCall {
  readonly method: string
  readonly host: FakeHost | 'api.ipasis.com'
  /** The request target as it came, query included; without the prefix that stands for the host. */
  readonly path: string
  /** Whether the connection had carried another request before. */
  readonly isReused: boolean
  readonly token: string | undefined
  /** A batch's items, verbatim. */
  readonly items?: readonly string[]
  /** Arrival, in ms of the fake's clock. */
  readonly atMs: number
  /** Undefined until an answer was sent. */
  status: number | undefined
}

export interface FakeStats {
  readonly total: number
  /** By token; `""` is the keyless surface. */
  readonly byToken: Readonly<Record<string, number>>
  /** By path without its query. Paths beyond the first 100,000 count under `(other)`. */
  readonly byPath: Readonly<Record<string, number>>
}

interface Waiter {
  readonly matches: (call: FakeCall) => boolean
  missing: number
  readonly arrived: (call: FakeCall) => void
}

const maxPaths = 100_000

/** What was asked, newest last. The list may be bounded; the counters are not. */
export class CallLog {
  readonly #maxCalls: number
  readonly #waiters = new Set<Waiter>()
  #calls: FakeCall[] = []
  #total = 0
  #byToken = new Map<string, number>()
  #byPath = new Map<string, number>()

  /** Keeps at least the newest `maxCalls` calls, and at most a quarter more. */
  constructor(maxCalls = Number.POSITIVE_INFINITY) {
    this.#maxCalls = maxCalls
  }

  get calls(): readonly FakeCall[] {
    return this.#calls
  }

  add(call: FakeCall): void {
    this.#calls.push(call)
    if (this.#calls.length > this.#maxCalls * 1.25) this.#calls = this.#calls.slice(-this.#maxCalls)
    this.#total += 1
    count(this.#byToken, call.token ?? '')
    const path = pathnameOf(call.path)
    count(this.#byPath, this.#byPath.size < maxPaths || this.#byPath.has(path) ? path : '(other)')
    for (const waiter of this.#waiters) this.#tell(waiter, call)
  }

  clear(): void {
    this.#calls = []
    this.#total = 0
    this.#byToken = new Map()
    this.#byPath = new Map()
  }

  stats(): FakeStats {
    return { total: this.#total, byToken: Object.fromEntries(this.#byToken), byPath: Object.fromEntries(this.#byPath) }
  }

  /** The first of the calls still to come that matches. */
  next(matches: (call: FakeCall) => boolean): Promise<FakeCall> {
    return new Promise((arrived) => this.#waiters.add({ matches, missing: 1, arrived }))
  }

  /** Resolves when the log holds `wanted` matching calls, those already there included, with the last of them. */
  reach(wanted: number, matches: (call: FakeCall) => boolean): Promise<FakeCall> {
    const there = this.#calls.filter(matches)
    const last = there[wanted - 1]
    if (last !== undefined) return Promise.resolve(last)
    return new Promise((arrived) => this.#waiters.add({ matches, missing: wanted - there.length, arrived }))
  }

  #tell(waiter: Waiter, call: FakeCall): void {
    if (!waiter.matches(call)) return
    waiter.missing -= 1
    if (waiter.missing > 0) return
    this.#waiters.delete(waiter)
    waiter.arrived(call)
  }
}

export function pathnameOf(path: string): string {
  const end = path.indexOf('?')
  return end === -1 ? path : path.slice(0, end)
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
