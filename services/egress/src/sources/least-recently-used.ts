import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { LiveSource } from './live-source.ts'
import type { IsUsable, Rotation } from './rotation.ts'

const useLeastRecent = luaCommand(new URL('use-least-recent.lua', import.meta.url))
/** Uses that are longer ago make no difference any more. */
const rememberMs = 86_400_000

/**
 * The source that has rested longest in the whole fleet, which is asked once for each connection. While Redis is away,
 * the one that has rested longest as far as this process knows. A single source is not asked about.
 */
export class LeastRecentlyUsed implements Rotation {
  readonly #sources: readonly LiveSource[]
  readonly #fleet: { readonly link: RedisLink; readonly key: string } | undefined
  /** Of each source: how many uses there had been, here, with its last one. */
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
