import type { Worker } from 'bullmq'
import type { Redis } from '@ipfleet/redis/connection.ts'
import { within } from '@ipfleet/core/within.ts'

/**
 * Takes up nothing more, and waits for what is under way, but not for ever: BullMQ 6.7.0 waits without end for a server
 * that is away (its #4585), unless it is told not to wait for anything.
 */
export async function closeWorker(worker: Worker, connection: Redis, withinMs: number): Promise<void> {
  const isAway = connection.status !== 'ready'
  await within(withinMs, worker.close(isAway))
}
