import { EventEmitter } from 'node:events'
import { FollowedName, type FollowedNameParts } from './followed-name.ts'
import { within } from '@ipfleet/core/within.ts'

interface AddressBookEvents {
  /** Some name has other addresses than before. */
  changed: []
  /** A look-up failed; `code` as of `dns`: `ENOTFOUND`, `EAI_AGAIN`. */
  unresolved: [hostname: string, code: string]
}

/** How long a start waits for names; what is not known by then comes later. */
const patienceMs = 2000

/** The addresses of a group's names, kept up to date. */
export class AddressBook extends EventEmitter<AddressBookEvents> {
  readonly #parts: FollowedNameParts
  readonly #names = new Map<string, FollowedName>()

  constructor(parts: FollowedNameParts) {
    super()
    this.#parts = parts
  }

  /** Empty for a name of which nothing is known. */
  addressesOf(hostname: string): readonly string[] {
    return this.#names.get(hostname)?.addresses ?? []
  }

  /** Follows these names too, and resolves when all of them have been looked up, after two seconds at the latest. */
  async learn(hostnames: readonly string[], everyMs: number): Promise<void> {
    const unknown = hostnames
      .map((hostname) => this.#names.get(hostname) ?? this.#follow(hostname, everyMs))
      .filter((name) => name.addresses.length === 0)
    if (unknown.length === 0) return
    await within(patienceMs, Promise.all(unknown.map((name) => name.lookUp())))
  }

  /** Follows these at this pace, and no others any more. */
  keepOnly(hostnames: readonly string[], everyMs: number): void {
    for (const name of this.#names.values()) {
      if (hostnames.includes(name.hostname)) name.configure(everyMs)
      else this.#forget(name)
    }
  }

  lookSoon(hostname: string): void {
    this.#names.get(hostname)?.lookSoon()
  }

  /** Until the next look-up of any name; 0 when there are no names. */
  get dueInMs(): number {
    const waitsMs = Array.from(this.#names.values(), (name) => name.dueInMs)
    return waitsMs.length === 0 ? 0 : Math.min(...waitsMs)
  }

  close(): void {
    for (const name of this.#names.values()) this.#forget(name)
    this.removeAllListeners()
  }

  #follow(hostname: string, everyMs: number): FollowedName {
    const name = new FollowedName(hostname, everyMs, this.#parts)
    name.on('changed', () => this.emit('changed'))
    name.on('unresolved', (code) => this.emit('unresolved', hostname, code))
    this.#names.set(hostname, name)
    return name
  }

  #forget(name: FollowedName): void {
    name.close()
    this.#names.delete(name.hostname)
  }
}
