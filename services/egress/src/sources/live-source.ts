import { randomBytes } from 'node:crypto'
import type { Clock } from '@ipfleet/core/clock.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { PoolEntry } from './ip-pool.ts'
import { prefixAddress } from './ip-pool.ts'
import { SourceHealth } from './source-health.ts'
import type { Source } from './source-pool.ts'

/** Limits the addresses of one prefix that one request tries, so that it gives up at some time. */
const maxOfPrefix = 3

export class LiveSource {
  readonly entry: PoolEntry
  /** For rendezvous hashing. */
  readonly seed: number
  readonly health: SourceHealth
  readonly #fixed: Source
  readonly #isInPrefix: (address: string) => boolean

  constructor(entry: PoolEntry, clock: Clock) {
    const { id, family, listedAs } = entry
    this.entry = entry
    this.seed = seedOf(id)
    this.health = new SourceHealth(clock)
    this.#isInPrefix = entry.kind === 'prefix' ? addressBlocks([id]) : () => false
    this.#fixed =
      entry.kind === 'parent'
        ? { address: id, family, listedAs, parent: entry.parent }
        : { address: entry.kind === 'address' ? id : '', family, listedAs }
  }

  /** Whether it goes to addresses of this family. */
  serves(family: 4 | 6): boolean {
    return this.entry.family === undefined || this.entry.family === family
  }

  /** What is bound. Of a prefix, the address for 16 bytes of entropy, by default a random one. */
  source(entropy: (id: string) => Uint8Array = () => randomBytes(16)): Source {
    const { entry } = this
    if (entry.kind !== 'prefix') return this.#fixed
    return { address: prefixAddress(entry, entropy(entry.id)), family: entry.family, listedAs: entry.listedAs }
  }

  /** What is bound if it is the one of this name, or the prefix of it. */
  named(name: string): Source | undefined {
    const { entry } = this
    if (entry.kind === 'address' || entry.kind === 'parent') return entry.id === name ? this.#fixed : undefined
    if (entry.kind === 'system' || !this.#isInPrefix(name)) return undefined
    return { address: name, family: entry.family, listedAs: entry.listedAs }
  }

  /** Whether a request that tried these must not try it again. */
  isAmong(tried: readonly Source[]): boolean {
    if (tried.length === 0) return false
    const { kind, id, family, listedAs } = this.entry
    if (kind === 'address' || kind === 'parent') return tried.some(({ address }) => address === id)
    const own = tried.filter((source) => source.listedAs === listedAs && source.family === family)
    return own.length >= (kind === 'system' ? 1 : maxOfPrefix)
  }
}
