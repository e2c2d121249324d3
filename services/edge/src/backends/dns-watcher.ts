import { lookup } from 'node:dns/promises'
import { EventEmitter } from 'node:events'
import { within } from '@ipfleet/core/within.ts'
import type { Clock } from '@ipfleet/core/clock.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { jittered } from '@ipfleet/core/jitter.ts'
import { canonicalAddress } from './endpoints.ts'

/** The addresses of a name, in any order and spelling. Rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

/** As the system resolves it. */
export const lookUpAll: Resolve = async (hostname) => {
  const found = await lookup(hostname, { all: true })
  return found.map(({ address }) => address)
}

export interface DnsDeps {
  readonly resolve: Resolve
  readonly clock: Clock
  readonly random: () => number
}

interface DnsWatcherEvents {
  /** Some name has other addresses than before. */
  changed: []
  /** A look-up failed; `code` as of `dns`: `ENOTFOUND`, `EAI_AGAIN`. */
  unresolved: [hostname: string, code: string]
}

/** How long a start waits for names; what is not known by then comes later. */
const maxWaitMs = 2000

/** The addresses of a group's names, kept up to date. */
export class DnsWatcher extends EventEmitter<DnsWatcherEvents> {
  readonly #deps: DnsDeps
  readonly #hosts = new Map<string, WatchedHost>()

  constructor(deps: DnsDeps) {
    super()
    this.#deps = deps
  }

  /** Empty for a name of which nothing is known. */
  addressesOf(hostname: string): readonly string[] {
    return this.#hosts.get(hostname)?.addresses ?? []
  }

  /** Watches these names too. Resolves when all of them have been looked up, after two seconds at the latest. */
  async watch(hostnames: readonly string[], everyMs: number): Promise<void> {
    const unknown = hostnames
      .map((hostname) => this.#hosts.get(hostname) ?? this.#add(hostname, everyMs))
      .filter((host) => host.addresses.length === 0)
    if (unknown.length === 0) return
    await within(maxWaitMs, Promise.all(unknown.map((host) => host.lookUp())))
  }

  /** Watches these at this pace, and no others any more. */
  keepOnly(hostnames: readonly string[], everyMs: number): void {
    for (const host of this.#hosts.values()) {
      if (hostnames.includes(host.hostname)) host.configure(everyMs)
      else this.#remove(host)
    }
  }

  /** An address of this name gave no answer: looks it up before the usual time. */
  lookSoon(hostname: string): void {
    this.#hosts.get(hostname)?.lookSoon()
  }

  /** Until the next look-up of any name; 0 when there are no names. */
  get dueInMs(): number {
    const waitsMs = Array.from(this.#hosts.values(), (host) => host.dueInMs)
    return waitsMs.length === 0 ? 0 : Math.min(...waitsMs)
  }

  close(): void {
    for (const host of this.#hosts.values()) this.#remove(host)
    this.removeAllListeners()
  }

  #add(hostname: string, everyMs: number): WatchedHost {
    const host = new WatchedHost(hostname, everyMs, this.#deps)
    host.on('changed', () => this.emit('changed'))
    host.on('unresolved', (code) => this.emit('unresolved', hostname, code))
    this.#hosts.set(hostname, host)
    return host
  }

  #remove(host: WatchedHost): void {
    host.close()
    this.#hosts.delete(host.hostname)
  }
}

/** Between the beginnings of two look-ups of one name. */
const minPauseMs = 1000

/** A host name whose addresses are looked up again and again. A failed look-up leaves those that were known. */
class WatchedHost extends EventEmitter<{ changed: []; unresolved: [code: string] }> {
  readonly hostname: string
  readonly #deps: DnsDeps
  #everyMs: number
  #addresses: readonly string[] = []
  #looking: Promise<void> | undefined
  #lookedAtMs = -Infinity
  #dueMs = Infinity
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(hostname: string, everyMs: number, deps: DnsDeps) {
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
