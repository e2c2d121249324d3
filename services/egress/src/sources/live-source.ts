import { randomBytes } from 'node:crypto'
import type { Clock } from '@ipfleet/core/clock.ts'
import { seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { Seat } from './ip-pool.ts'
import { prefixAddress } from './prefix-address.ts'
import { SourceHealth } from './source-health.ts'
import type { Source } from './source-pool.ts'

/** Addresses of one prefix that one request may try: were there no end, it would never give up. */
const mostOfPrefix = 3

/** A seat with all that its pool knows of it. */
export class LiveSource {
  readonly seat: Seat
  /** For rendezvous hashing. */
  readonly seed: number
  readonly health: SourceHealth
  readonly #fixed: Source

  constructor(seat: Seat, clock: Clock) {
    const { id, family, entry } = seat
    this.seat = seat
    this.seed = seedOf(id)
    this.health = new SourceHealth(clock)
    this.#fixed = { address: seat.kind === 'address' ? id : '', family, entry }
  }

  /** What is bound. Of a prefix, the address that 16 bytes of entropy stand for: a random one unless told. */
  source(entropy: (id: string) => Uint8Array = () => randomBytes(16)): Source {
    const { seat } = this
    if (seat.kind !== 'prefix') return this.#fixed
    return { address: prefixAddress(seat, entropy(seat.id)), family: seat.family, entry: seat.entry }
  }

  /** Whether a request has no more to expect of it. */
  isAmong(tried: readonly Source[]): boolean {
    if (tried.length === 0) return false
    const { kind, id, family, entry } = this.seat
    if (kind === 'address') return tried.some(({ address }) => address === id)
    const own = tried.filter((source) => source.entry === entry && source.family === family)
    return own.length >= (kind === 'system' ? 1 : mostOfPrefix)
  }
}
