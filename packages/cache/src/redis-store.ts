import type { Redis } from '@ipfleet/redis/connection.ts'
import type { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { tagIn } from '@ipfleet/redis/bucket-tags.ts'
import { commandGroups } from '@ipfleet/redis/command-groups.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import { packedValues } from '@ipfleet/redis/packed-values.ts'
import type { RedisLink, RunOptions } from '@ipfleet/redis/redis-link.ts'
import { isMoving } from '@ipfleet/redis/redis-unavailable.ts'
import { decodeAnswer, encodeAnswer } from './answer-codec.ts'
import type { AnswerStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import { inSlices } from './in-slices.ts'
import type { Generation } from './generation.ts'

const storeAnswers = luaCommand(new URL('store-answers.lua', import.meta.url))

/** Entries of one storing command: about half a millisecond of Redis's time, in which it serves no other client. */
const maxEntries = 250

/**
 * The shared tier in Redis: `<prefix>:answer:{<bucket>}:<generation>:<query>`. One hit is a GET, many are one MGET.
 * Entries live for their freshness and, beyond that, for as long as a stale copy may be of use.
 */
export class RedisStore implements AnswerStore {
  readonly #link: RedisLink
  readonly #clock: FleetClock
  readonly #generation: Generation
  readonly #staleForMs: number

  constructor(link: RedisLink, clock: FleetClock, generation: Generation, { staleForMs }: { staleForMs: number }) {
    this.#link = link
    this.#clock = clock
    this.#generation = generation
    this.#staleForMs = staleForMs
  }

  async getMany(queries: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    const generation = this.#generation.require()
    const entries = new Map<string, Entry>()
    const keys = queries.map((query) => this.#keyOf(generation, query))
    const keyAt = (at: number): string => keys[at] as string
    const bucketOf = this.#link.isCluster ? (at: number): string => tagIn(keyAt(at)) : undefined
    const groups = commandGroups([...keys.keys()], { maxItems: Infinity, bucketOf })
    await Promise.all(
      groups.map(async (group) => {
        const keysOf = group.map(keyAt)
        const values = await orOneByOne(keysOf, (some, options) =>
          this.#link.run((client) => valuesOf(client, some), options),
        )
        await inSlices(values, (bytes, index) => {
          const entry = bytes ? this.#decode(bytes) : undefined
          if (entry) entries.set(queries[group[index] as number] as string, entry)
        })
      }),
    )
    return entries
  }

  async setMany(entries: ReadonlyMap<string, Entry>): Promise<void> {
    const generation = this.#generation.require()
    const living: EncodedEntry[] = []
    entries.forEach((entry, query) => {
      const { bytes, lifeMs } = this.#encode(entry)
      if (lifeMs > 0) living.push({ key: this.#keyOf(generation, query), bytes, lifeMs })
    })
    const bucketOf = this.#link.isCluster ? ({ key }: EncodedEntry): string => tagIn(key) : undefined
    const groups = commandGroups(living, { maxItems: maxEntries, bucketOf })
    await Promise.all(groups.map((group) => orOneByOne(group, (some, options) => this.#setGroup(some, options))))
  }

  async #setGroup(group: readonly EncodedEntry[], options: RunOptions): Promise<never[]> {
    const vital = { ...options, isVital: true }
    const [first] = group
    if (first && group.length === 1) {
      await this.#link.run((client) => client.set(first.key, first.bytes, 'PX', first.lifeMs), vital)
      return []
    }
    const { sizes, bytes } = packedValues(group.map((one) => one.bytes))
    const lives = JSON.stringify(group.map(({ lifeMs }) => lifeMs))
    const keys = group.map(({ key }) => key)
    await this.#link.lua(storeAnswers, keys, [sizes, bytes, lives], vital)
    return []
  }

  #keyOf(generation: string, query: string): string {
    return this.#link.names.subjectKey('answer', `${generation}:${query}`)
  }

  #encode(entry: Entry): Omit<EncodedEntry, 'key'> {
    const ageMs = entry.ageMs(this.#clock.nowMs())
    const storedAt = Math.round(this.#clock.epochMs() - ageMs)
    const heldForMs = entry.heldUntilMs - this.#clock.nowMs()
    const about = { storedAt, freshFor: entry.freshForMs, loadMs: Math.round(entry.loadMs) }
    const held = heldForMs > 0 ? { heldTo: Math.round(this.#clock.epochMs() + heldForMs) } : {}
    return {
      bytes: encodeAnswer(entry.answer, { ...about, ...held }),
      lifeMs: Math.ceil(entry.freshForMs + (entry.isNegative ? 0 : this.#staleForMs) - ageMs),
    }
  }

  #decode(bytes: Buffer): Entry | undefined {
    const decoded = decodeAnswer(bytes)
    if (!decoded) return undefined
    const { storedAt, freshFor, loadMs, heldTo } = decoded.about
    if (typeof storedAt !== 'number' || typeof freshFor !== 'number') return undefined
    const ageMs = Math.max(0, this.#clock.epochMs() - storedAt)
    const nowMs = this.#clock.nowMs()
    const entry = new Entry(decoded.answer, nowMs - ageMs, freshFor, typeof loadMs === 'number' ? loadMs : 0)
    if (typeof heldTo === 'number') entry.heldUntilMs = nowMs + heldTo - this.#clock.epochMs()
    return entry
  }
}

interface EncodedEntry {
  readonly key: string
  readonly bytes: Buffer
  readonly lifeMs: number
}

/** All in one command, which a slot that is half moved refuses: then each by itself. */
async function orOneByOne<T, R>(
  items: readonly T[],
  command: (some: readonly T[], options: RunOptions) => Promise<R[]>,
): Promise<R[]> {
  try {
    return await command(items, { hasOtherWay: items.length > 1 })
  } catch (error) {
    if (!isMoving(error)) throw error
    return (await Promise.all(items.map((item) => command([item], {})))).flat()
  }
}

function valuesOf(client: Redis, keys: readonly string[]): Promise<(Buffer | null)[]> {
  const [key] = keys
  return keys.length === 1 && key !== undefined
    ? client.getBuffer(key).then((bytes) => [bytes])
    : client.mgetBuffer([...keys])
}
