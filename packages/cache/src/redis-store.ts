import type { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { tagIn } from '@ipfleet/redis/bucket-tags.ts'
import { commandGroups } from '@ipfleet/redis/command-groups.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import { packedValues, textIfUtf8 } from '@ipfleet/redis/packed-values.ts'
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
    const [first] = queries
    if (queries.length === 1 && first !== undefined) {
      const bytes = await this.#get(this.#keyOf(generation, first))
      const entry = bytes ? this.#decode(bytes) : undefined
      return entry ? new Map([[first, entry]]) : nothing
    }
    const entries = new Map<string, Entry>()
    const keys = queries.map((query) => this.#keyOf(generation, query))
    const keyAt = (at: number): string => keys[at] as string
    const bucketOf = this.#link.isCluster ? (at: number): string => tagIn(keyAt(at)) : undefined
    const groups = commandGroups([...keys.keys()], { maxItems: Infinity, bucketOf })
    await Promise.all(
      groups.map(async (group) => {
        const values = await orOneByOne(
          group.map(keyAt),
          (some) => this.#link.run((client) => client.mgetBuffer([...some]), hasOtherWay),
          (one) => this.#get(one),
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
    const [first] = living
    if (first && living.length === 1) return void (await this.#set(first))
    const bucketOf = this.#link.isCluster ? ({ key }: EncodedEntry): string => tagIn(key) : undefined
    const groups = commandGroups(living, { maxItems: maxEntries, bucketOf })
    const set = (one: EncodedEntry): Promise<unknown> => this.#set(one)
    await Promise.all(groups.map((group) => orOneByOne(group, (some) => this.#setGroup(some), set)))
  }

  #get(key: string): Promise<Buffer | null> {
    return this.#link.run((client) => client.getBuffer(key))
  }

  #set({ key, bytes, lifeMs }: EncodedEntry): Promise<unknown> {
    return this.#link.run((client) => client.set(key, textIfUtf8(bytes), 'PX', lifeMs), vital)
  }

  async #setGroup(group: readonly EncodedEntry[]): Promise<unknown[]> {
    const { sizes, bytes } = packedValues(group.map((one) => one.bytes))
    const lives = JSON.stringify(group.map(({ lifeMs }) => lifeMs))
    const keys = group.map(({ key }) => key)
    return [await this.#link.lua(storeAnswers, keys, [sizes, bytes, lives], { ...vital, ...hasOtherWay })]
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

const nothing: ReadonlyMap<string, Entry> = new Map()
const vital: RunOptions = { isVital: true }
const hasOtherWay: RunOptions = { hasOtherWay: true }

/** All in one command, which a slot that is half moved refuses: then each by itself. */
async function orOneByOne<T, R>(
  items: readonly T[],
  all: (some: readonly T[]) => Promise<R[]>,
  one: (item: T) => Promise<R>,
): Promise<R[]> {
  try {
    return await all(items)
  } catch (error) {
    if (!isMoving(error)) throw error
    return Promise.all(items.map(one))
  }
}
