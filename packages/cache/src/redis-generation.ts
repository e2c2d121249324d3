import { type LuaArgument, type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Generation } from './generation.ts'

const readGeneration = luaCommand(new URL('read-generation.lua', import.meta.url))
const purgeGeneration = luaCommand(new URL('purge-generation.lua', import.meta.url))

/** Longer than any answer lives, so that a number that is handed out anew after this has no answers left under it. */
const keepMs = 400 * 86_400_000
const retryAfterMs = 250

/** The fleet's generation. Followed by message, and read again whenever messages may have been lost, or are. */
export class RedisGeneration implements Generation {
  readonly #link: RedisLink
  readonly #key: string
  readonly #channel: string
  readonly #listeners: (() => void)[] = []
  #messages = 0
  #retry: NodeJS.Timeout | undefined
  readonly #firstKnown = Promise.withResolvers<void>()
  #current: string | undefined

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    this.#key = link.names.key('generation', 'answers')
    this.#channel = link.names.channel('purged')
    link.on('up', () => void this.#refresh())
    if (link.up) void this.#refresh()
    subscriber.onGap(() => void this.#refresh())
    subscriber.onDeaf(() => void this.#refresh())
    void subscriber.subscribe(this.#channel, (generation) => {
      this.#messages += 1
      this.#moveTo(generation)
    })
  }

  get current(): string | undefined {
    return this.#current
  }

  /** Resolves when the generation is known: Redis has answered for the first time. */
  get known(): Promise<void> {
    return this.#firstKnown.promise
  }

  require(): string {
    if (this.#current === undefined) throw new RedisUnavailable('down')
    return this.#current
  }

  async purge(): Promise<void> {
    const known = this.#current
    try {
      await this.#ask(purgeGeneration, [keepMs, this.#channel])
    } catch (error) {
      this.#tell()
      throw error
    }
    // Memory may hold answers from before the generation was known.
    if (known === undefined) this.#tell()
  }

  onPurge(listener: () => void): void {
    this.#listeners.push(listener)
  }

  async #refresh(): Promise<void> {
    clearTimeout(this.#retry)
    try {
      await this.#ask(readGeneration, [keepMs, this.#current ?? '', this.#channel])
    } catch {
      // While Redis is away the next `up` asks again; one lost answer in between must not cost us a purge.
      if (this.#link.up) this.#retry = setTimeout(() => void this.#refresh(), retryAfterMs).unref()
    }
  }

  /** Replies and messages come over different connections: a reply that a message has overtaken may be out of date. */
  async #ask(command: LuaCommand, args: readonly LuaArgument[]): Promise<void> {
    const messages = this.#messages
    const generation = String(await this.#link.lua(command, [this.#key], args))
    if (messages === this.#messages || generation === this.#current) this.#moveTo(generation)
    else await this.#refresh()
  }

  #moveTo(generation: string): void {
    const known = this.#current
    this.#current = generation
    this.#firstKnown.resolve()
    if (known !== undefined && known !== generation) this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
