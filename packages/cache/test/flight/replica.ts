import { once } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { defaultPrefix, FleetNames } from '@ipfleet/redis/fleet-names.ts'
import { flightNames } from '../../src/flight/flight-keys.ts'
import { FleetFlight, type LeaseLoss, type OutcomeCodec } from '../../src/flight/fleet-flight.ts'
import type { FlightResult } from '../../src/flight/load.ts'
import { RedisLeases } from '../../src/flight/redis-leases.ts'
import { RedlockLeases } from '../../src/flight/redlock-leases.ts'

/**
 * Outcomes that are text. One that starts with `once:` must not serve those who come after it, one with `own:` nobody
 * but who loaded it.
 */
const textCodec: OutcomeCodec<string> = {
  encode: (outcome) => Buffer.from(`text ${outcome}`),
  decode: (bytes) => (bytes.toString().startsWith('text ') ? bytes.toString().slice(5) : undefined),
  keepMs: () => 20_000,
  concernsOthers: (outcome) => !outcome.startsWith('own:'),
  servesLatecomers: (outcome) => !outcome.startsWith('once:'),
}

/** What replicas of a fleet without a name of its own call these. */
export const {
  lease: leaseKey,
  outcome: outcomeKey,
  landed: landedChannel,
} = flightNames(new FleetNames({ prefix: defaultPrefix, db: 0 }))

/** What one replica of a fleet has of its own. */
export interface Replica {
  readonly link: RedisLink
  readonly subscriber: Subscriber
  /** Of one subject each. */
  readonly redlock: RedlockLeases
  readonly leases: RedisLeases
  readonly flight: FleetFlight<string>
  /** How many subjects it has loaded without a lease to the end, by how. */
  readonly losses: Partial<Record<LeaseLoss, number>>
  /** A flight of one subject. */
  readonly fly: (subject: string, load: () => Promise<string>, deadlineMs: number) => Promise<FlightResult<string>>
  close(): void
}

export interface ReplicaOptions {
  readonly url: string
  readonly lifeMs: number
  /** Where messages come from, if not from `url`. */
  readonly subscriberUrl?: string
  /** What the leases measure their own delay by. */
  readonly clock?: Clock
  /** Of one Redis command. */
  readonly timeoutMs?: number
}

/** A replica that is connected and answering. */
export async function openReplica({
  url,
  lifeMs,
  subscriberUrl = url,
  clock,
  timeoutMs = 5000,
}: ReplicaOptions): Promise<Replica> {
  const link = new RedisLink({ url, name: 'replica', timeoutMs })
  const subscriber = new Subscriber({ url: subscriberUrl })
  const heard = new Promise<void>((resolve) => subscriber.onGap(resolve))
  await Promise.all([once(link, 'up'), heard])
  const options = clock === undefined ? { lifeMs } : { lifeMs, clock }
  const leases = new RedisLeases(link, subscriber, options)
  const flight = new FleetFlight(leases, textCodec)
  const losses: Replica['losses'] = {}
  flight.on('unguarded', (count, how) => (losses[how] = (losses[how] ?? 0) + count))
  const close = (): void => {
    subscriber.close()
    link.close()
  }
  const fly: Replica['fly'] = (subject, load, deadlineMs) => flyOne(flight, subject, load, deadlineMs)
  return { link, subscriber, redlock: new RedlockLeases(link, options), leases, flight, losses, fly, close }
}

async function flyOne(
  flight: FleetFlight<string>,
  subject: string,
  load: () => Promise<string>,
  deadlineMs: number,
): Promise<FlightResult<string>> {
  const { promise, resolve, reject } = Promise.withResolvers<FlightResult<string>>()
  const running = flight.run(
    [subject],
    {
      load: async (_subjects, settle) => settle(new Map([[subject, await load()]])),
      landed: async (results) => resolve(results.get(subject) as FlightResult<string>),
      failed: (_subjects, error) => reject(error),
    },
    deadlineMs,
  )
  running.catch(reject)
  return promise
}
