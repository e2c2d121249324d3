import { within } from '@ipfleet/core/within.ts'
import { type AnswerStore, noStore, resilientStore } from '@ipfleet/cache/answer-store.ts'
import { type Generation, ownGeneration } from '@ipfleet/cache/generation.ts'
import { outcomeCodec, type SharedOutcome } from '@ipfleet/cache/outcome.ts'
import { RedisGeneration } from '@ipfleet/cache/redis-generation.ts'
import { RedisStore } from '@ipfleet/cache/redis-store.ts'
import { FleetFlight } from '@ipfleet/cache/flight/fleet-flight.ts'
import { loadAlone } from '@ipfleet/cache/flight/load.ts'
import { resilientLeases } from '@ipfleet/cache/flight/leases.ts'
import { RedisLeases } from '@ipfleet/cache/flight/redis-leases.ts'
import type { KeyStore } from '@ipfleet/key-pool/key-store.ts'
import { LocalKeyStore } from '@ipfleet/key-pool/local-key-store.ts'
import { RedisKeyStore } from '@ipfleet/key-pool/redis-key-store.ts'
import { ResilientKeyStore } from '@ipfleet/key-pool/resilient-key-store.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import type { RedisAccess } from '@ipfleet/redis/redis-access.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { redisAccess } from '@ipfleet/redis/redis-settings.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { RedisBreakerStates } from '@ipfleet/upstream/redis-breaker-states.ts'
import { localBreakerStates, type SharedBreakerStates } from '@ipfleet/upstream/shared-breaker-state.ts'
import { cacheNeeds, redisNeeds } from './redis-needs.ts'
import { durationsOf, type LookupSettings } from '../settings.ts'

/** What a replica shares with the fleet, or, alone, has for itself. */
export interface Fleet {
  readonly generation: Generation
  readonly shared: AnswerStore
  readonly flight: Pick<FleetFlight<SharedOutcome>, 'run'>
  readonly keyStore: KeyStore
  readonly breakerStates: SharedBreakerStates
  /** Redis's time, for what replicas tell one another. */
  readonly clock: Pick<FleetClock, 'epochMs'>
  readonly redis: FleetRedis | undefined
  /** Resolves when the fleet is joined, or after a second without it: a replica also starts while Redis is away. */
  joined(): Promise<void>
  /** Resolves when what is under way has been shared, which is not waited for longer than Redis may take. */
  close(): Promise<void>
}

export interface FleetRedis {
  readonly flight: FleetFlight<SharedOutcome>
  readonly state: RedisLink
  /** The same link as `state`, unless answers have a Redis of their own. */
  readonly cache: RedisLink
  readonly subscriber: Subscriber
}

/** A dead holder is replaced within it; a living one prolongs it every third: a stall of a second costs nothing. */
const leaseMs = 1500
const joinPatienceMs = 1000

/** With REDIS_URL the parts of a fleet, without it those of a replica on its own. */
export function openFleet(settings: LookupSettings): Fleet {
  const access = redisAccess(settings, 'REDIS')
  return access ? sharedFleet(settings, access) : loneFleet(settings)
}

function loneFleet(settings: LookupSettings): Fleet {
  const clock = new FleetClock()
  return {
    generation: ownGeneration(),
    clock,
    shared: noStore,
    // This process has already made sure that it loads once.
    flight: { run: loadAlone },
    keyStore: new LocalKeyStore(clock, { trialMs: durationsOf(settings).requestEndMs }),
    breakerStates: localBreakerStates,
    redis: undefined,
    joined: async () => {},
    close: async () => {},
  }
}

function sharedFleet(settings: LookupSettings, access: RedisAccess): Fleet {
  const { REDIS_TIMEOUT_MS: timeoutMs, REDIS_PREFIX: prefix } = settings
  const ofAnswers = redisAccess(settings, 'REDIS_CACHE') ?? access
  const readsReplicas = settings.REDIS_READ_FROM === 'replicas'
  const clock = new FleetClock()
  const state = new RedisLink({ ...access, name: 'state', timeoutMs, prefix, needs: redisNeeds })
  const cache =
    readsReplicas || !isSameServer(ofAnswers, access)
      ? new RedisLink({ ...ofAnswers, readsReplicas, name: 'cache', timeoutMs, prefix, needs: cacheNeeds })
      : state
  const subscriber = new Subscriber(access, timeoutMs)
  subscriber.onRefused((error) => state.refused(error))
  clock.follow(state)

  const generation = new RedisGeneration(state, subscriber)
  // Of one generation only: an outcome from before a purge must not answer a caller who asks after it.
  const answerPrefix = (): string => `${generation.require()}:`
  const leases = resilientLeases(new RedisLeases(state, subscriber, { lifeMs: leaseMs, prefix: answerPrefix }))
  // Another request may try a key on trial when the first must have ended.
  const { requestEndMs: trialMs, staleForMs, revalidateForMs } = durationsOf(settings)
  const flight = new FleetFlight<SharedOutcome>(leases, outcomeCodec)
  return {
    generation,
    shared: resilientStore(
      new RedisStore(cache, clock, generation, {
        staleForMs: Math.max(staleForMs, revalidateForMs),
      }),
    ),
    flight,
    keyStore: new ResilientKeyStore(
      new RedisKeyStore(state, { trialMs }),
      new LocalKeyStore(clock, { trialMs }),
      state,
      subscriber,
    ),
    breakerStates: new RedisBreakerStates(state, subscriber),
    clock,
    redis: { state, cache, subscriber, flight },
    joined: () => within(joinPatienceMs, generation.known),
    close: async () => {
      await within(2 * timeoutMs, flight.drained())
      clock.close()
      subscriber.close()
      if (cache !== state) cache.close()
      state.close()
    },
  }
}

function isSameServer(one: RedisAccess, other: RedisAccess): boolean {
  return one.url === other.url && (one.username ?? other.username) === other.username
}
