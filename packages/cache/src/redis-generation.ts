import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Generation } from './generation.ts'

const readGeneration = luaCommand(new URL('read-generation.lua', import.meta.url))
const purgeGeneration = luaCommand(new URL('purge-generation.lua', import.meta.url))

const key = 'ipfleet:generation:{answers}'
const channel = 'ipfleet:purged'
/** Longer than any answer lives, so that a number that is handed out anew after this has no answers left under it. */
const keepMs = 400 * 86_400_000

/** The fleet's generation. Followed by message, and read again whenever messages may have been lost. */
export class RedisGeneration implements Generation {
  readonly #link: RedisLink
  readonly #listeners: (() => void)[] = []
  #current: string | undefined

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    link.on('up', () => void this.#refresh())
    subscriber.onGap(() => void this.#refresh())
    void subscriber.subscribe(channel, (generation) => this.#moveTo(generation))
  }

  get current(): string | undefined {
    return this.#current
  }

  require(): string {
    if (this.#current === undefined) throw new RedisUnavailable('down')
    return this.#current
  }

  async purge(): Promise<void> {
    try {
      this.#moveTo(String(await this.#link.lua(purgeGeneration, [key], [keepMs, channel])))
    } catch (error) {
      this.#tell()
      throw error
    }
  }

  onPurge(listener: () => void): void {
    this.#listeners.push(listener)
  }

  async #refresh(): Promise<void> {
    try {
      this.#moveTo(String(await this.#link.lua(readGeneration, [key], [keepMs])))
    } catch {
      // The next `up` asks again.
    }
  }

  #moveTo(generation: string): void {
    const known = this.#current
    this.#current = generation
    if (known !== undefined && known !== generation) this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
