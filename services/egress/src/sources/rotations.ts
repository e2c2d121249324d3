import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { LiveSource } from './live-source.ts'

/** The value of ROTATION. */
export type RotationName = 'round-robin' | 'random' | 'least-recently-used'

export type IsUsable = (source: LiveSource) => boolean

/** The order of the sources of one family. */
export interface Rotation {
  /** The next usable source; undefined when there is none. A promise only where the fleet is asked. */
  next(isUsable: IsUsable): LiveSource | undefined | Promise<LiveSource | undefined>
}

/**
 * Each replica goes its own rounds and asks no other for a turn, since whole rounds are even by themselves: after any
 * number of connections of `r` replicas, the counts of two sources differ by at most `r`. The fleet only agrees on where
 * each replica begins (`startAt`). Otherwise replicas that make few connections, or live shortly, would all use the first
 * sources more than the last.
 *
 * The turn of a source that is not usable goes to a second round of those that are. Given to its neighbour, it would
 * double the neighbour's share.
 */
export class RoundRobin implements Rotation {
  readonly #sources: readonly LiveSource[]
  #turn: number
  #standIn: number
  #hasBegun = false

  /** `firstTurn`: any whole number from 0. */
  constructor(sources: readonly LiveSource[], firstTurn: number) {
    this.#sources = sources
    this.#turn = firstTurn % sources.length
    this.#standIn = this.#turn
  }

  /** Begins there, unless it has begun: a round must not be broken off. */
  startAt(firstTurn: number): void {
    if (this.#hasBegun) return
    this.#turn = firstTurn % this.#sources.length
    this.#standIn = this.#turn
  }

  next(isUsable: IsUsable): LiveSource | undefined {
    this.#hasBegun = true
    const due = this.#sources[this.#turn]
    this.#turn = (this.#turn + 1) % this.#sources.length
    return due !== undefined && isUsable(due) ? due : this.#nextStandIn(isUsable)
  }

  #nextStandIn(isUsable: IsUsable): LiveSource | undefined {
    const size = this.#sources.length
    for (let passed = 0; passed < size; passed += 1) {
      const source = this.#sources[this.#standIn]
      this.#standIn = (this.#standIn + 1) % size
      if (source !== undefined && isUsable(source)) return source
    }
    return undefined
  }
}

/** Each usable source is as likely as any other. */
export class RandomTurns implements Rotation {
  readonly #sources: readonly LiveSource[]
  readonly #random: () => number

  constructor(sources: readonly LiveSource[], random: () => number) {
    this.#sources = sources
    this.#random = random
  }

  next(isUsable: IsUsable): LiveSource | undefined {
    const drawn = this.#drawnOf(this.#sources)
    // Drawing among all and, when that fails, among the usable is as fair as among the usable alone.
    return drawn !== undefined && isUsable(drawn) ? drawn : this.#drawnOf(this.#sources.filter(isUsable))
  }

  #drawnOf(sources: readonly LiveSource[]): LiveSource | undefined {
    return sources[Math.floor(this.#random() * sources.length)]
  }
}

const useLeastRecent = luaCommand(new URL('use-least-recent.lua', import.meta.url))
/** Older uses make no difference any more. */
const rememberMs = 86_400_000

/**
 * The source that has rested longest in the whole fleet, which costs one command for each connection. While Redis is
 * away, the one that has rested longest in this process. Where there is one source only, no command is sent.
 */
export class LeastRecentlyUsed implements Rotation {
  readonly #sources: readonly LiveSource[]
  readonly #fleet: { readonly link: RedisLink; readonly key: string } | undefined
  /** Of each source: the number of its last use among the uses by this process. */
  readonly #lastUses: number[]
  #uses = 0

  /** `key`: that of these sources, in this order, in Redis. */
  constructor(sources: readonly LiveSource[], fleet: { readonly link: RedisLink; readonly key: string } | undefined) {
    this.#sources = sources
    this.#fleet = fleet
    this.#lastUses = sources.map(() => 0)
  }

  next(isUsable: IsUsable): LiveSource | undefined | Promise<LiveSource | undefined> {
    const fleet = this.#fleet
    if (fleet?.link.up !== true || this.#sources.length === 1) return this.#nextHere(isUsable)
    return this.#nextOfFleet(fleet.link, fleet.key, isUsable)
  }

  async #nextOfFleet(link: RedisLink, key: string, isUsable: IsUsable): Promise<LiveSource | undefined> {
    const unusable = this.#sources.flatMap((source, index) => (isUsable(source) ? [] : [index]))
    if (unusable.length === this.#sources.length) return undefined
    try {
      const args = [this.#sources.length, rememberMs, ...unusable]
      return this.#used(Number(await link.lua(useLeastRecent, [key], args)))
    } catch (error) {
      if (error instanceof RedisUnavailable) return this.#nextHere(isUsable)
      throw error
    }
  }

  #nextHere(isUsable: IsUsable): LiveSource | undefined {
    let first = -1
    for (const [index, source] of this.#sources.entries()) {
      const isEarlier = first < 0 || (this.#lastUses[index] ?? 0) < (this.#lastUses[first] ?? 0)
      if (isEarlier && isUsable(source)) first = index
    }
    return this.#used(first)
  }

  #used(index: number): LiveSource | undefined {
    this.#uses += 1
    if (index >= 0) this.#lastUses[index] = this.#uses
    return this.#sources[index]
  }
}
