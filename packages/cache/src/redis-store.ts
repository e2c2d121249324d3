import type { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import { packedValues } from '@ipfleet/redis/packed-values.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { decodeAnswer, encodeAnswer } from './answer-codec.ts'
import type { AnswerStore, BatchStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import { inSlices } from './in-slices.ts'
import type { Generation } from './generation.ts'

const storeAnswers = luaCommand(new URL('store-answers.lua', import.meta.url))

/** Entries of one command: about half a millisecond of Redis's time, which nobody else gets meanwhile. */
const entriesPerCommand = 250

/**
 * The shared tier in Redis: `<prefix>:answer:{<bucket>}:<generation>:<question>`. A hit is one GET, a batch of them one MGET.
 * Entries live for their freshness and, beyond that, for as long as a stale copy may be of use.
 */
export class RedisStore implements AnswerStore, BatchStore {
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

  async get(question: string): Promise<Entry | undefined> {
    const key = this.#keyOf(this.#generation.require(), question)
    const bytes = await this.#link.run((client) => client.getBuffer(key))
    return bytes ? this.#decode(bytes) : undefined
  }

  async set(question: string, entry: Entry): Promise<void> {
    const key = this.#keyOf(this.#generation.require(), question)
    const { bytes, lifeMs } = this.#encode(entry)
    if (lifeMs > 0) await this.#link.run((client) => client.set(key, bytes, 'PX', lifeMs))
  }

  async getMany(questions: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    const generation = this.#generation.require()
    const entries = new Map<string, Entry>()
    if (questions.length === 0) return entries
    const keys = questions.map((question) => this.#keyOf(generation, question))
    const values = await this.#link.run((client) => client.mgetBuffer(keys))
    await inSlices(values, (bytes, at) => {
      const entry = bytes ? this.#decode(bytes) : undefined
      if (entry) entries.set(questions[at] as string, entry)
    })
    return entries
  }

  async setMany(entries: ReadonlyMap<string, Entry>): Promise<void> {
    const generation = this.#generation.require()
    const living: { key: string; bytes: Buffer; lifeMs: number }[] = []
    entries.forEach((entry, question) => {
      const { bytes, lifeMs } = this.#encode(entry)
      if (lifeMs > 0) living.push({ key: this.#keyOf(generation, question), bytes, lifeMs })
    })
    for (let at = 0; at < living.length; at += entriesPerCommand) {
      const some = living.slice(at, at + entriesPerCommand)
      const { sizes, bytes } = packedValues(some.map((one) => one.bytes))
      const lives = JSON.stringify(some.map(({ lifeMs }) => lifeMs))
      const keys = some.map(({ key }) => key)
      await this.#link.lua(storeAnswers, keys, [sizes, bytes, lives])
    }
  }

  #keyOf(generation: string, question: string): string {
    return this.#link.names.subjectKey('answer', `${generation}:${question}`)
  }

  #encode(entry: Entry): { bytes: Buffer; lifeMs: number } {
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
