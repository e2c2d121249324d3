import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { type FlightNames, flightNames } from './flight-keys.ts'
import type { Lease } from './lease.ts'

const publishOutcome = luaCommand(new URL('publish-outcome.lua', import.meta.url))
const observe = luaCommand(new URL('observe.lua', import.meta.url))

export interface Observation {
  /** What the last flight brought, while it is kept. */
  readonly outcome: Buffer | undefined
  /** Life left of the lease; undefined when nobody holds it. */
  readonly leaseLeftMs: number | undefined
}

/** Where outcomes of flights are left for those who wait, and where waiters are woken. */
export interface OutcomeBoard {
  /** False when the lease was lost meanwhile and nothing was published. @throws RedisUnavailable */
  publish(lease: Lease, outcome: Buffer, keepMs: number): Promise<boolean>
  /** @throws RedisUnavailable */
  read(subject: string): Promise<Buffer | undefined>
  /** @throws RedisUnavailable */
  observe(subject: string): Promise<Observation>
  /** Calls back on each landing; messages may be lost. Returns a function that ends it. */
  onLanding(subject: string, wake: () => void): Promise<() => void>
}

export class RedisOutcomeBoard implements OutcomeBoard {
  readonly #link: RedisLink
  readonly #subscriber: Subscriber
  readonly #names: FlightNames

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    this.#subscriber = subscriber
    this.#names = flightNames(link.names)
  }

  async publish(lease: Lease, outcome: Buffer, keepMs: number): Promise<boolean> {
    const keys = [this.#names.lease(lease.subject), this.#names.outcome(lease.subject)]
    const args = [lease.token, outcome, keepMs, this.#names.landed(lease.subject)]
    return (await this.#link.lua(publishOutcome, keys, args)) === 1
  }

  async read(subject: string): Promise<Buffer | undefined> {
    return (await this.#link.run((client) => client.getBuffer(this.#names.outcome(subject)))) ?? undefined
  }

  async observe(subject: string): Promise<Observation> {
    const reply = await this.#link.luaForBytes(observe, [this.#names.lease(subject), this.#names.outcome(subject)], [])
    const [outcome, leaseLeftMs] = reply as [Buffer | null, number]
    return { outcome: outcome ?? undefined, leaseLeftMs: leaseLeftMs < 0 ? undefined : leaseLeftMs }
  }

  onLanding(subject: string, wake: () => void): Promise<() => void> {
    return this.#subscriber.subscribe(this.#names.landed(subject), wake)
  }
}
