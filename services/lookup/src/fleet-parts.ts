import { type AnswerStore, type BatchStore, noStore } from '@ipfleet/cache/answer-store.ts'
import { type Generation, ownGeneration } from '@ipfleet/cache/generation.ts'
import { outcomeCodec, type SharedOutcome } from '@ipfleet/cache/outcome.ts'
import { RedisGeneration } from '@ipfleet/cache/redis-generation.ts'
import { RedisStore } from '@ipfleet/cache/redis-store.ts'
import type { FleetLoad } from '@ipfleet/cache/tiered-cache.ts'
import { BatchFlight, type BatchFleetLoad, loadAlone } from '@ipfleet/cache/flight/batch-flight.ts'
import { RedisClaims } from '@ipfleet/cache/flight/claims.ts'
import { FleetFlight } from '@ipfleet/cache/flight/fleet-flight.ts'
import { RedisOutcomeBoard } from '@ipfleet/cache/flight/outcome-board.ts'
import { RedlockLeases } from '@ipfleet/cache/flight/redlock-leases.ts'
import type { KeyStore } from '@ipfleet/key-pool/key-store.ts'
import { LocalKeyStore } from '@ipfleet/key-pool/local-key-store.ts'
import { RedisKeyStore } from '@ipfleet/key-pool/redis-key-store.ts'
import { ResilientKeyStore } from '@ipfleet/key-pool/resilient-key-store.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { RedisBreakerStates } from '@ipfleet/upstream/redis-breaker-states.ts'
import { localBreakerStates, type SharedBreakerStates } from '@ipfleet/upstream/shared-breaker-state.ts'
import { cacheNeeds, redisNeeds } from './redis-needs.ts'
import type { LookupSettings } from './settings.ts'
import { within } from '@ipfleet/core/within.ts'

/** What a replica shares with the fleet, or, alone, has for itself. */
export interface FleetParts {
  readonly generation: Generation
  readonly shared: AnswerStore & BatchStore
  readonly flight: FleetLoad
  readonly batchFlight: BatchFleetLoad<SharedOutcome>
  readonly keyStore: KeyStore
  readonly breakerStates: SharedBreakerStates
  readonly redis: FleetRedis | undefined
  readonly isAway: (error: unknown) => boolean
  /** Resolves when the fleet is joined, or after a second without it: a replica also starts while Redis is away. */
  joined(): Promise<void>
  close(): void
}

export interface FleetRedis {
  readonly state: RedisLink
  /** The same link as `state`, unless answers have a Redis of their own. */
  readonly cache: RedisLink
  readonly subscriber: Subscriber
}

/**
 * The life of a lease. A dead holder is replaced within it; a living one prolongs it every third, so a stall of a
 * second costs nothing.
 */
const leaseMs = 1500
const joinPatienceMs = 1000

/** With REDIS_URL the parts of a fleet, without it those of a replica on its own. */
export function fleetParts(settings: LookupSettings): FleetParts {
  const { REDIS_URL: url } = settings
  return url === undefined ? aloneParts(settings) : sharedParts(settings, url)
}

/** Another request may try a key on trial when the first must have ended. */
const trialMsOf = (settings: LookupSettings): number => settings.REQUEST_TIMEOUT_MS + 1000

function aloneParts(settings: LookupSettings): FleetParts {
  return {
    generation: ownGeneration(),
    shared: noStore,
    flight: aloneFlight,
    batchFlight: { run: loadAlone },
    keyStore: new LocalKeyStore(new FleetClock(), { trialMs: trialMsOf(settings) }),
    breakerStates: localBreakerStates,
    redis: undefined,
    isAway: () => false,
    joined: async () => {},
    close: () => {},
  }
}

/** This process has already made sure that it loads once. */
const aloneFlight: FleetLoad = {
  run: async (_question, load) => ({ outcome: await load('answer'), led: true, published: true }),
  runIfFree: async (_question, load) => ({ outcome: await load('refresh'), led: true, published: true }),
}

function sharedParts(settings: LookupSettings, url: string): FleetParts {
  const { REDIS_CACHE_URL: cacheUrl = url, REDIS_TIMEOUT_MS: timeoutMs, REDIS_PREFIX: prefix } = settings
  const clock = new FleetClock()
  const state = new RedisLink({ url, name: 'state', timeoutMs, prefix, needs: redisNeeds })
  const cache =
    cacheUrl === url ? state : new RedisLink({ url: cacheUrl, name: 'cache', timeoutMs, prefix, needs: cacheNeeds })
  const subscriber = new Subscriber(url, timeoutMs)
  subscriber.onRefused((error) => state.refused(error))
  clock.follow(state)

  const generation = new RedisGeneration(state, subscriber)
  const leases = new RedlockLeases(state, { lifeMs: leaseMs })
  const board = new RedisOutcomeBoard(state, subscriber)
  const flight = new FleetFlight<SharedOutcome>(leases, board, outcomeCodec)
  const subjectOf = (question: string): string => `${generation.require()}:${question}`
  const trialMs = trialMsOf(settings)
  return {
    generation,
    shared: new RedisStore(cache, clock, generation, {
      staleForMs: 1000 * Math.max(settings.STALE_IF_ERROR_SECONDS, settings.STALE_WHILE_REVALIDATE_SECONDS),
    }),
    flight: {
      run: async (question, load, deadlineMs) => flight.run(subjectOf(question), () => load('answer'), deadlineMs),
      runIfFree: async (question, load) => flight.runIfFree(subjectOf(question), () => load('refresh')),
    },
    batchFlight: {
      run: async (questions, crew, deadlineMs) => {
        const claims = new RedisClaims(state, { lifeMs: leaseMs, prefix: subjectOf('') })
        await new BatchFlight<SharedOutcome>(claims, outcomeCodec).run(questions, crew, deadlineMs)
      },
    },
    keyStore: new ResilientKeyStore(
      new RedisKeyStore(state, { trialMs }),
      new LocalKeyStore(clock, { trialMs }),
      state,
      subscriber,
    ),
    breakerStates: new RedisBreakerStates(state, subscriber),
    redis: { state, cache, subscriber },
    isAway: (error) => error instanceof RedisUnavailable,
    joined: () => within(joinPatienceMs, generation.known),
    close: () => {
      clock.close()
      subscriber.close()
      if (cache !== state) cache.close()
      state.close()
    },
  }
}
