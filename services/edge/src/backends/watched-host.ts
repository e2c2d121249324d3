import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import { canonicalAddress } from './endpoints.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { jittered } from '@ipfleet/core/jitter.ts'

/** The addresses of a name, in any order and spelling. Rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

export interface WatchedHostDeps {
  readonly resolve: Resolve
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
}

/** Between the beginnings of two look-ups of one name. */
const minPauseMs = 1000

/** A host name whose addresses are looked up again and again. A failed look-up leaves those that were known. */
export class WatchedHost extends EventEmitter<{ changed: []; unresolved: [code: string] }> {
  readonly hostname: string
  readonly #deps: WatchedHostDeps
  #everyMs: number
  #addresses: readonly string[] = []
  #looking: Promise<void> | undefined
  #lookedAtMs = -Infinity
  #dueMs = Infinity
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(hostname: string, everyMs: number, deps: WatchedHostDeps) {
    super()
    this.hostname = hostname
    this.#everyMs = everyMs
    this.#deps = deps
  }

  /** Canonical, without repetitions, and in an order that does not depend on the answer's. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** Until the next look-up; 0 while there is one. */
  get dueInMs(): number {
    return this.#looking === undefined ? Math.max(0, this.#dueMs - this.#deps.clock.nowMs()) : 0
  }

  configure(everyMs: number): void {
    const isSooner = everyMs < this.#everyMs
    this.#everyMs = everyMs
    if (isSooner) this.#lookWithin(this.#nextPauseMs())
  }

  /** Looks now, or waits for the look-up under way. Never rejects. */
  lookUp(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      if (!this.#closed) this.#lookWithin(this.#nextPauseMs())
    })
    return this.#looking
  }

  /** An address gave no answer: looks before the usual time, at most once a second. */
  lookSoon(): void {
    this.#lookWithin(Math.max(0, this.#lookedAtMs + minPauseMs - this.#deps.clock.nowMs()))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.removeAllListeners()
  }

  async #look(): Promise<void> {
    const { resolve, clock } = this.#deps
    clearTimeout(this.#timer)
    this.#dueMs = Infinity
    this.#lookedAtMs = clock.nowMs()
    const answer = await resolve(this.hostname)
      .then(inOrder)
      .catch((error: unknown) => errorCode(error) ?? 'UNKNOWN')
    if (this.#closed) return
    if (typeof answer === 'string') this.emit('unresolved', answer)
    else this.#learn(answer)
  }

  #learn(addresses: readonly string[]): void {
    if (addresses.join() === this.#addresses.join()) return
    this.#addresses = addresses
    this.emit('changed')
  }

  #lookWithin(ms: number): void {
    const dueMs = this.#deps.clock.nowMs() + ms
    if (this.#closed || this.#looking !== undefined || dueMs >= this.#dueMs) return
    clearTimeout(this.#timer)
    this.#dueMs = dueMs
    this.#timer = setTimeout(() => void this.lookUp(), ms).unref()
  }

  /** Varies by a tenth, so that edges do not look up at the same time. A host without addresses is looked up again soon. */
  #nextPauseMs(): number {
    const pauseMs = this.#addresses.length === 0 ? Math.min(minPauseMs, this.#everyMs) : this.#everyMs
    return jittered(pauseMs, this.#deps.random)
  }
}

class NoAddresses extends Error {
  readonly code = 'ENODATA'
}

function inOrder(answer: readonly string[]): readonly string[] {
  const addresses = new Set(answer.map(canonicalAddress).filter((address) => address !== undefined))
  if (addresses.size === 0) throw new NoAddresses()
  return [...addresses].toSorted()
}
