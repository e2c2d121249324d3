import type { FleetNames } from '@ipfleet/redis/fleet-names.ts'

/** Where a job is kept; the braces make all of it one Cluster slot. */
export interface JobKeys {
  /** Hash: state, counts, times. */
  readonly job: string
  /** Hash: number of the chunk → its inputs, until it is done. */
  readonly inputs: string
  /** Hash: number of the chunk → its results. */
  readonly results: string
  /** List: lines of each chunk. */
  readonly chunks: string
  /** Hash: number of the chunk → length of its NDJSON. */
  readonly bytes: string
}

/** What the fleet calls its jobs in Redis. */
export class JobNames {
  readonly #names: FleetNames
  /** Sorted set of the ids of all jobs, all of score 0: their order is that of time. */
  readonly all: string
  /** Channel: ids of jobs of which something has changed. */
  readonly changes: string
  /** Channel: ids of jobs on which no more work is to be done. */
  readonly cancellations: string

  constructor(names: FleetNames) {
    this.#names = names
    this.all = names.key('bulk', 'jobs')
    this.changes = names.channel('bulk:changed')
    this.cancellations = names.channel('bulk:cancelled')
  }

  keysOf(id: string): JobKeys {
    const job = this.#names.key('bulk', id)
    return {
      job,
      inputs: `${job}:inputs`,
      results: `${job}:results`,
      chunks: `${job}:chunks`,
      bytes: `${job}:bytes`,
    }
  }

  /** Sorted set, as `all`, in the same slot. */
  ofOwner(owner: string): string {
    return `${this.all}:${owner}`
  }

  /** String: the id that an Idempotency-Key stands for. */
  idempotency(name: string): string {
    return this.#names.key('bulk', 'name', name)
  }
}

/** What BullMQ puts before all of its keys; the braces make them one Cluster slot, as it requires. */
export const queuePrefix = (names: FleetNames): string => names.key('queue', 'bulk')
