import { once } from 'node:events'
import { FleetFlight } from '../src/flight/fleet-flight.ts'
import { resilientLeases } from '../src/flight/leases.ts'
import { RedisLeases } from '../src/flight/redis-leases.ts'
import { connect } from '@ipfleet/redis/connection.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { AnswerCache } from '../src/answer-cache.ts'
import { resilientStore } from '../src/answer-store.ts'
import { observeRedis, type SeenCommand } from '@ipfleet/testing/redis-observer.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Entry } from '../src/entry.ts'
import { LruStore } from '../src/lru-store.ts'
import { outcomeCodec, type SharedOutcome } from '../src/outcome.ts'
import { RedisGeneration } from '../src/redis-generation.ts'
import { RedisStore } from '../src/redis-store.ts'
import { until } from '@ipfleet/testing/until.ts'

export interface Replica {
  readonly link: RedisLink
  readonly cacheLink: RedisLink
  readonly generation: RedisGeneration
  readonly store: RedisStore
  readonly memory: LruStore
  readonly cache: AnswerCache
  close(): void
}

export interface ReplicaOptions {
  readonly url: string
  /** Where messages come from, if not from `url`. */
  readonly subscriberUrl?: string
  readonly staleForMs?: number
  /** Deadline of one command. */
  readonly timeoutMs?: number
  /** Where answers are, if not at `url`. */
  readonly cacheUrl?: string
  /** Of a lease. */
  readonly lifeMs?: number
  /** How long an outcome is kept. Default: what a service does. */
  readonly keepMs?: number
}

/** The tiers of one replica, put together as a service does it. It may be connected or not. */
export function openReplica({
  url,
  subscriberUrl = url,
  staleForMs = 60_000,
  timeoutMs = 15_000,
  cacheUrl = url,
  lifeMs = 15_000,
  keepMs,
}: ReplicaOptions): Replica {
  const clock = new FleetClock()
  const link = new RedisLink({ url, name: 'replica', timeoutMs })
  const cacheLink = cacheUrl === url ? link : new RedisLink({ url: cacheUrl, name: 'cache', timeoutMs })
  const subscriber = new Subscriber({ url: subscriberUrl })
  clock.follow(link)
  const generation = new RedisGeneration(link, subscriber)
  // Of one generation only: an outcome from before a purge must not answer a caller who asks after it.
  const prefix = (): string => `${generation.require()}:`
  const leases = resilientLeases(new RedisLeases(link, subscriber, { lifeMs, prefix }))
  const codec = keepMs === undefined ? outcomeCodec : { ...outcomeCodec, keepMs: () => keepMs }
  const flight = new FleetFlight<SharedOutcome>(leases, codec)
  const store = new RedisStore(cacheLink, clock, generation, { staleForMs })
  const memory = new LruStore({ maxEntries: 100, recheckAfterMs: 60_000 })
  const cache = new AnswerCache({ memory, shared: resilientStore(store), flight, staleForMs, revalidateForMs: 0 })
  generation.onPurge(() => cache.forget())
  const close = (): void => {
    clock.close()
    subscriber.close()
    if (cacheLink !== link) cacheLink.close()
    link.close()
  }
  return { link, cacheLink, generation, store, memory, cache, close }
}

/** As `openReplica`, and it has joined the fleet: connected, listening, the generation known. */
export async function joinedReplica(options: ReplicaOptions): Promise<Replica> {
  const replica = openReplica(options)
  for (const link of [replica.link, replica.cacheLink]) if (!link.up) await once(link, 'up')
  await replica.generation.known
  return replica
}

export type Admin = RedisLink['client']

/** A connection for a test's own orders to its server: it waits for as long as the server needs. */
export async function connectAdmin(url: string): Promise<Admin> {
  const admin = connect({ url }, 'admin', { enableOfflineQueue: true, commandTimeout: 15_000, socketTimeout: 15_000 })
  await admin.ping()
  return admin
}

/** Resolves when so many connections listen for purges. */
export function untilListening(admin: Admin, count: number): Promise<unknown> {
  return until(async () => Number((await admin.pubsub('NUMSUB', 'ipfleet:0:purged'))[1]) >= count)
}

/** Commands that clients sent, those whose arguments include `about`; not what scripts did. Ends with `stop`. */
export async function watchCommands(
  url: string,
  about: string,
): Promise<{ commands(): string[]; stop(): Promise<void> }> {
  const observer = await observeRedis(url)
  const concerns = ({ args, inner }: SeenCommand): boolean => !inner && args.some((arg) => arg.includes(about))
  return {
    commands: () =>
      observer
        .commands()
        .filter(concerns)
        .map(({ name }) => name),
    stop: async () => {
      await observer.caughtUp()
      await observer[Symbol.asyncDispose]()
    },
  }
}

export const storedIn = async ({ store }: Replica, query: string): Promise<Entry | undefined> =>
  (await store.getMany([query])).get(query)

export const storeIn = ({ store }: Replica, query: string, entry: Entry): Promise<void> =>
  store.setMany(new Map([[query, entry]]))
