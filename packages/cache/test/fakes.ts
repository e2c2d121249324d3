import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { AnswerStore } from '../src/answer-store.ts'
import type { LoadMany } from '../src/finding.ts'
import type { Entry } from '../src/entry.ts'
import type { LoadPurpose } from '../src/finding.ts'
import { FleetFlight } from '../src/flight/fleet-flight.ts'
import type { FlightResult } from '../src/flight/load.ts'
import { type LeaseSession, resilientLeases } from '../src/flight/leases.ts'
import { outcomeCodec, type Outcome, type SharedOutcome } from '../src/outcome.ts'

/** How the cache flies; see `FleetFlight`. */
export type Flight = Pick<FleetFlight<SharedOutcome>, 'run'>
export type Load = (purpose: LoadPurpose) => Promise<Outcome>

/** One outcome for every query that is loaded. */
export const loadingEach =
  (load: Load): LoadMany =>
  async (queries, settle, purpose) => {
    const outcome = await load(purpose)
    await settle(new Map(queries.map((query) => [query, outcome])))
  }

/** The shared tier in a map. */
export function mapStore(stored: Map<string, Entry>): AnswerStore {
  return {
    getMany: async (queries) => new Map([...stored].filter(([query]) => queries.includes(query))),
    setMany: async (entries) => entries.forEach((entry, query) => stored.set(query, entry)),
  }
}

/** A flight whose result for each query the test decides. */
export function flightOf(
  resultOf: (load: () => Promise<SharedOutcome>) => Promise<FlightResult<SharedOutcome>>,
): Flight {
  return {
    run: async (queries, callbacks) => {
      for (const query of queries) {
        let isLoading = false
        const load = (): Promise<SharedOutcome> => {
          isLoading = true
          const { promise, resolve, reject } = Promise.withResolvers<SharedOutcome>()
          callbacks.load([query], async (outcomes) => resolve(outcomes.get(query) as SharedOutcome)).catch(reject)
          return promise
        }
        try {
          await callbacks.landed(new Map([[query, await resultOf(load)]]))
        } catch (error) {
          if (!isLoading) throw error
          callbacks.failed([query], error)
        }
      }
    },
  }
}

export const away = async (): Promise<never> => Promise.reject(new RedisUnavailable('down'))

export const awayStore: AnswerStore = { getMany: away, setMany: away }

/** A flight over leases of which nothing is known but what the test says. */
export function flightOver(claim: LeaseSession['claim']): Flight {
  const open = (): LeaseSession => ({ claim, onLanding: async () => () => {} })
  return new FleetFlight<SharedOutcome>(resilientLeases({ lifeMs: 1500, open }), outcomeCodec, { nowMs: () => 0 })
}

export const awayFlight = flightOver(away)
