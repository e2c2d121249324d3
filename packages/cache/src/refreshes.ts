import type { Clock } from '@ipfleet/core/clock.ts'
import type { FleetFlight } from './flight/fleet-flight.ts'
import type { LoadCallbacks } from './flight/load.ts'
import type { SharedOutcome } from './outcome.ts'

/** After a refresh, successful or not, a replica leaves the query alone for so long. */
const pauseMs = 200

/** Loads behind answers that have been given: each once in the fleet, waiting for no other load. */
export class Refreshes {
  readonly #flight: Pick<FleetFlight<SharedOutcome>, 'run'>
  readonly #clock: Clock
  /** What this process refreshes, or has refreshed a moment ago. */
  readonly #held = new Set<string>()

  constructor(flight: Pick<FleetFlight<SharedOutcome>, 'run'>, clock: Clock) {
    this.#flight = flight
    this.#clock = clock
  }

  /** Never throws: whatever goes wrong, the old entries are still there. */
  async begin(stale: readonly string[], { load, landed }: Omit<LoadCallbacks<SharedOutcome>, 'failed'>): Promise<void> {
    const queries = stale.filter((query) => !this.#held.has(query))
    for (const query of queries) this.#held.add(query)
    const loading = new Set<string>()
    const callbacks: LoadCallbacks<SharedOutcome> = {
      load: (some, settle) => {
        for (const query of some) loading.add(query)
        return load(some, settle).finally(() => this.#letGo(some))
      },
      landed,
      failed: () => {},
    }
    try {
      if (queries.length > 0) await this.#flight.run(queries, callbacks, this.#clock.nowMs())
    } catch {
      // What others are loading is theirs to refresh.
    } finally {
      this.#letGo(queries.filter((query) => !loading.has(query)))
    }
  }

  #letGo(queries: readonly string[]): void {
    setTimeout(() => queries.forEach((query) => this.#held.delete(query)), pauseMs).unref()
  }
}
