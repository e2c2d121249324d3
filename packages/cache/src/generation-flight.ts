import type { Generation } from './generation.ts'
import type { FleetLoad } from './tiered-cache.ts'

/**
 * Flights of one generation only: an outcome stays on the board for seconds, and a load may be under way, and neither
 * may answer someone who asks after a purge.
 * Its `run` throws RedisUnavailable while the generation is not known: then the fleet cannot be asked.
 */
export function generationFlight(flight: FleetLoad, generation: Generation): FleetLoad {
  return {
    run: async (question, load, deadlineMs) => flight.run(`${generation.require()}:${question}`, load, deadlineMs),
  }
}
