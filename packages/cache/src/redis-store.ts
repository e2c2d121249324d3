import type { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { decodeAnswer, encodeAnswer } from './answer-codec.ts'
import type { AnswerStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import type { Generation } from './generation.ts'

/**
 * The shared tier in Redis: `ipfleet:answer:{<generation>:<question>}`. A hit is one GET. Entries live for their
 * freshness and, beyond that, for as long as a stale copy may be of use.
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

  async get(question: string): Promise<Entry | undefined> {
    const key = answerKey(this.#generation.require(), question)
    const bytes = await this.#link.run((client) => client.getBuffer(key))
    return bytes ? this.#decode(bytes) : undefined
  }

  async set(question: string, entry: Entry): Promise<void> {
    const key = answerKey(this.#generation.require(), question)
    const ageMs = entry.ageMs(this.#clock.nowMs())
    const lifeMs = Math.ceil(entry.freshForMs + this.#staleForMs - ageMs)
    if (lifeMs <= 0) return
    const storedAt = Math.round(this.#clock.epochMs() - ageMs)
    const bytes = encodeAnswer(entry.answer, { storedAt, freshFor: entry.freshForMs })
    await this.#link.run((client) => client.set(key, bytes, 'PX', lifeMs))
  }

  #decode(bytes: Buffer): Entry | undefined {
    const decoded = decodeAnswer(bytes)
    if (!decoded) return undefined
    const { storedAt, freshFor } = decoded.about
    if (typeof storedAt !== 'number' || typeof freshFor !== 'number') return undefined
    const ageMs = Math.max(0, this.#clock.epochMs() - storedAt)
    return new Entry(decoded.answer, this.#clock.nowMs() - ageMs, freshFor)
  }
}

const answerKey = (generation: string, question: string): string => `ipfleet:answer:{${generation}:${question}}`
