import { once } from 'node:events'
import { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import { resilientStore } from '@ipfleet/cache/answer-store.ts'
import { FleetFlight } from '@ipfleet/cache/flight/fleet-flight.ts'
import { resilientLeases } from '@ipfleet/cache/flight/leases.ts'
import { RedisLeases } from '@ipfleet/cache/flight/redis-leases.ts'
import { LruStore } from '@ipfleet/cache/lru-store.ts'
import { type Outcome, outcomeCodec, type SharedOutcome } from '@ipfleet/cache/outcome.ts'
import { RedisGeneration } from '@ipfleet/cache/redis-generation.ts'
import { RedisStore } from '@ipfleet/cache/redis-store.ts'
import { RedisKeyStore } from '@ipfleet/key-pool/redis-key-store.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'

/** What of a lookup replica speaks with Redis. */
export interface SimulatedReplica {
  readonly keys: RedisKeyStore
  find(query: string, load: () => Promise<Outcome>): Promise<unknown>
  /** What it has in memory. */
  forget(): void
  close(): void
}

/** So many replicas in one process are slow: it is not waiting that is measured. */
const timeoutMs = 30_000
const staleForMs = 86_400_000

/** Resolves when it has joined: connected, listening, the generation known. */
export async function joinFleet(url: string): Promise<SimulatedReplica> {
  const clock = new FleetClock()
  const link = new RedisLink({ url, name: 'simulated', timeoutMs })
  const subscriber = new Subscriber({ url }, timeoutMs)
  clock.follow(link)
  const generation = new RedisGeneration(link, subscriber)
  const prefix = (): string => `${generation.require()}:`
  const cache = new AnswerCache({
    memory: new LruStore({ maxEntries: 100_000, recheckAfterMs: staleForMs }),
    shared: resilientStore(new RedisStore(link, clock, generation, { staleForMs })),
    flight: new FleetFlight<SharedOutcome>(
      resilientLeases(new RedisLeases(link, subscriber, { lifeMs: timeoutMs, prefix })),
      outcomeCodec,
    ),
    staleForMs,
    revalidateForMs: 0,
  })
  generation.onPurge(() => cache.forget())
  if (!link.up) await once(link, 'up')
  await generation.known
  return {
    keys: new RedisKeyStore(link, { trialMs: timeoutMs }),
    find: (query, load) =>
      cache.find(
        query,
        async (queries, settle) => {
          const outcome = await load()
          await settle(new Map(queries.map((one) => [one, outcome])))
        },
        performance.now() + timeoutMs,
      ),
    forget: () => cache.forget(),
    close: () => {
      clock.close()
      subscriber.close()
      link.close()
    },
  }
}
