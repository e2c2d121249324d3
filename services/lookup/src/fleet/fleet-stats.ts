import { randomUUID } from 'node:crypto'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Stats } from '../operations/stats.ts'
import { within } from '@ipfleet/core/within.ts'

const patienceMs = 300

/** Asks the other replicas for their counters, and answers when they ask. Nothing is stored in Redis. */
export class FleetStats {
  readonly #link: RedisLink
  readonly #questions: string
  readonly #replica = randomUUID()
  readonly #own: () => Promise<Stats>
  readonly #waiting = new Map<string, (stats: Stats) => void>()

  constructor(link: RedisLink, subscriber: Subscriber, own: () => Promise<Stats>) {
    this.#link = link
    this.#questions = link.names.channel('stats:ask')
    this.#own = own
    void subscriber.subscribe(this.#questions, (message) => void this.#answer(message))
    void subscriber.subscribe(this.#answersFor(this.#replica), (message) => {
      const { question, stats } = JSON.parse(message) as { question: string; stats: Stats }
      this.#waiting.get(question)?.(stats)
    })
  }

  /** The counters of all other replicas that answer within 300 ms. @throws RedisUnavailable */
  async others(): Promise<Stats[]> {
    const question = randomUUID()
    const { promise: complete, resolve } = Promise.withResolvers<void>()
    const gathered: Stats[] = []
    let expected = Number.POSITIVE_INFINITY
    const checkComplete = (): void => {
      if (gathered.length >= expected) resolve()
    }
    this.#waiting.set(question, (stats) => {
      gathered.push(stats)
      checkComplete()
    })
    try {
      const message = JSON.stringify({ question, replica: this.#replica })
      // PUBLISH tells how many heard it: every replica, this one included.
      const heard = await this.#link.run((client) => client.publish(this.#questions, message))
      // A node of a Cluster knows its own listeners only.
      if (!this.#link.isCluster) expected = heard - 1
      checkComplete()
      await within(patienceMs, complete)
      return gathered
    } finally {
      this.#waiting.delete(question)
    }
  }

  #answersFor(replica: string): string {
    return this.#link.names.channel(`stats:answer:${replica}`)
  }

  async #answer(message: string): Promise<void> {
    const { question, replica } = JSON.parse(message) as { question: string; replica: string }
    if (replica === this.#replica) return
    try {
      const reply = JSON.stringify({ question, stats: await this.#own() })
      await this.#link.run((client) => client.publish(this.#answersFor(replica), reply))
    } catch {
      // The replica that asked goes on without this one.
    }
  }
}
