import type { FleetNames } from '@ipfleet/redis/fleet-names.ts'

export class JobNames {
  readonly #names: FleetNames
  /** Sorted set of the ids of all jobs, all of score 0: they sort by time. */
  readonly all: string
  /** Channel: ids of jobs that have changed. */
  readonly changes: string
  /** Channel: ids of jobs that are not to be worked on any more. */
  readonly cancellations: string

  constructor(names: FleetNames) {
    this.#names = names
    this.all = names.key('bulk', 'jobs')
    this.changes = names.channel('bulk:changed')
    this.cancellations = names.channel('bulk:cancelled')
  }

  /** The keys of a job; the braces in them make all of it one Cluster slot. */
  keysOf(id: string) {
    const job = this.#names.key('bulk', id)
    return {
      /** Hash: state, counts, times. */
      job,
      /** Hash: number of the chunk → its inputs, until it is done. */
      inputs: `${job}:inputs`,
      /** Hash: number of the chunk → its results. */
      results: `${job}:results`,
      /** List: lines of each chunk. */
      chunks: `${job}:chunks`,
      /** Hash: number of the chunk → length of its NDJSON. */
      bytes: `${job}:bytes`,
      /** Hash: number of the chunk → the summary of its results, or `all` → that of the job. */
      summaries: `${job}:summaries`,
    }
  }

  /** Sorted set, as `all`, in the same slot. */
  ofOwner(owner: string): string {
    return `${this.all}:${owner}`
  }

  /** String: the id of the job of an Idempotency-Key. */
  idempotency(name: string): string {
    return this.#names.key('bulk', 'name', name)
  }
}

/** The prefix of all keys of BullMQ; the braces make them one Cluster slot, as it requires. */
export const queuePrefix = (names: FleetNames): string => names.key('queue', 'bulk')
