import { EventEmitter } from 'node:events'
import { within } from '@ipfleet/core/within.ts'
import { WatchedHost, type WatchedHostDeps } from './watched-host.ts'

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
  readonly #deps: WatchedHostDeps
  readonly #hosts = new Map<string, WatchedHost>()

  constructor(deps: WatchedHostDeps) {
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
