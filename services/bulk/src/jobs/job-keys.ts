/** Where a job is kept; the braces make all of it one Cluster slot. */
export function jobKeys(id: string) {
  const job = `ipfleet:bulk:{${id}}`
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
  } as const
}

/** Sorted set of the ids of all jobs, all of score 0: their order is that of time. */
export const allJobs = 'ipfleet:bulk:{jobs}'

export const jobsOf = (owner: string): string => `${allJobs}:${owner}`

/** Ids of jobs of which something has changed. */
export const jobsChannel = 'ipfleet:bulk:changed'

/** Ids of jobs on which no more work is to be done. */
export const cancelledChannel = 'ipfleet:bulk:cancelled'

/** Of BullMQ's keys: a separate family, so that no id can meet them. */
export const queuePrefix = 'ipfleet:bulk-queue'
