import { once } from 'node:events'
import { FleetFlight } from '../src/flight/fleet-flight.ts'
import { RedisOutcomeBoard } from '../src/flight/outcome-board.ts'
import { RedlockLeases } from '../src/flight/redlock-leases.ts'
import { connect } from '@ipfleet/redis/connection.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { LruStore } from '../src/lru-store.ts'
import { outcomeCodec, type SharedOutcome } from '../src/outcome.ts'
import { RedisGeneration } from '../src/redis-generation.ts'
import { RedisStore } from '../src/redis-store.ts'
import { TieredCache } from '../src/tiered-cache.ts'
import { until } from '@ipfleet/testing/until.ts'

export interface Replica {
  readonly link: RedisLink
  readonly generation: RedisGeneration
  readonly store: RedisStore
  readonly memory: LruStore
  readonly cache: TieredCache
  close(): void
}

export interface ReplicaOptions {
  readonly url: string
  /** Where messages come from, if not from `url`. */
  readonly subscriberUrl?: string
  readonly staleForMs?: number
  /** Deadline of one command. */
  readonly timeoutMs?: number
}

/** The tiers of one replica, put together as a service does it. It may be connected or not. */
export function openReplica({
  url,
  subscriberUrl = url,
  staleForMs = 60_000,
  timeoutMs = 100,
}: ReplicaOptions): Replica {
  const clock = new FleetClock()
  const link = new RedisLink({ url, name: 'replica', timeoutMs })
  const subscriber = new Subscriber(subscriberUrl)
  clock.follow(link)
  const generation = new RedisGeneration(link, subscriber)
  const board = new RedisOutcomeBoard(link, subscriber)
  const flight = new FleetFlight<SharedOutcome>(new RedlockLeases(link, { lifeMs: 1500 }), board, outcomeCodec)
  const store = new RedisStore(link, clock, generation, { staleForMs })
  const memory = new LruStore({ maxEntries: 100, recheckAfterMs: 60_000 })
  const cache = new TieredCache({
    memory,
    shared: store,
    flight: {
      // Of one generation only: an outcome from before a purge must not answer who asks after it.
      run: async (question, load, deadlineMs) =>
        flight.run(`${generation.require()}:${question}`, () => load('answer'), deadlineMs),
      runIfFree: async (question, load) =>
        flight.runIfFree(`${generation.require()}:${question}`, () => load('refresh')),
    },
    isAway: (error) => error instanceof RedisUnavailable,
    staleForMs,
    revalidateForMs: 0,
  })
  generation.onPurge(() => cache.forget())
  const close = (): void => {
    clock.close()
    subscriber.close()
    link.close()
  }
  return { link, generation, store, memory, cache, close }
}

/** As `openReplica`, and it has joined the fleet: connected, listening, the generation known. */
export async function joinedReplica(options: ReplicaOptions): Promise<Replica> {
  const replica = openReplica(options)
  if (!replica.link.up) await once(replica.link, 'up')
  await replica.generation.known
  return replica
}

export type Admin = RedisLink['client']

/** A connection for a test's own orders to its server: it waits for as long as the server needs. */
export async function connectAdmin(url: string): Promise<Admin> {
  const admin = connect(url, 'admin', { enableOfflineQueue: true, commandTimeout: 15_000, socketTimeout: 15_000 })
  await admin.ping()
  return admin
}

/** Resolves when so many connections listen for purges. */
export function untilListening(admin: Admin, count: number): Promise<unknown> {
  return until(async () => Number((await admin.pubsub('NUMSUB', 'ipfleet:0:purged'))[1]) >= count)
}

/** Commands that clients sent, those whose arguments include `about`; not what scripts did. Ends with `stop`. */
export async function watchCommands(
  admin: Admin,
  about: string,
): Promise<{ readonly commands: string[]; stop(): Promise<void> }> {
  const monitor = await admin.monitor()
  const commands: string[] = []
  const ended = Promise.withResolvers<void>()
  const endMark = `end-${performance.now()}`
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    if (args.includes(endMark)) ended.resolve()
    else if (source !== 'lua' && args.some((arg) => arg.includes(about))) commands.push(String(args[0]).toLowerCase())
  })
  const stop = async (): Promise<void> => {
    await admin.echo(endMark)
    await ended.promise
    monitor.disconnect()
  }
  return { commands, stop }
}
