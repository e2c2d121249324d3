import { randomUUID } from 'node:crypto'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'

const countMembers = luaCommand(new URL('count-members.lua', import.meta.url))

export interface FleetSizeOptions {
  /** Whose members: `lookup`, `edge`. */
  readonly name: string
  readonly beatMs?: number
}

/** A member that missed this many beats is gone. */
const beatsToLive = 3

/** By the link of a process, which is one member however many of its parts count. */
const members = new WeakMap<RedisLink, string>()

/** How many processes share a limit: each says that it is there every few seconds. */
export class FleetSize {
  readonly #link: RedisLink
  readonly #key: string
  readonly #member: string
  readonly #beatMs: number
  readonly #timer: NodeJS.Timeout
  readonly #onUp = (): void => void this.#beat()
  #count = 1

  constructor(link: RedisLink, { name, beatMs = 5000 }: FleetSizeOptions) {
    this.#link = link
    this.#member = members.getOrInsertComputed(link, () => randomUUID())
    this.#key = link.names.key('members', name)
    this.#beatMs = beatMs
    link.on('up', this.#onUp)
    if (link.up) void this.#beat()
    this.#timer = setInterval(() => void this.#beat(), beatMs).unref()
  }

  /** At least 1: this one. While Redis is away it is what was last known. */
  get count(): number {
    return this.#count
  }

  /** Leaves. Never throws: one that could not say so is missed after a few beats. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#link.off('up', this.#onUp)
    await this.#say(0)
  }

  async #beat(): Promise<void> {
    const count = await this.#say(this.#beatMs * beatsToLive)
    if (count !== undefined) this.#count = Math.max(1, count)
  }

  async #say(lifeMs: number): Promise<number | undefined> {
    try {
      return Number(await this.#link.lua(countMembers, [this.#key], [this.#member, lifeMs]))
    } catch {
      return undefined
    }
  }
}
