import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { errorCode } from '@ipfleet/core/error-code.ts'
import type { ProbeOptions, ProbeResult } from './probe-file.ts'

/** Reading, unpacking and looking up samples takes a second for 100 MB. */
const timeLimitMs = 120_000

/**
 * Unpacks a database, opens it and looks some addresses up, in a worker.
 * @param signal gives it up
 * @throws when the disk fails
 */
export async function probeDatabase(options: ProbeOptions, signal: AbortSignal): Promise<ProbeResult> {
  if (signal.aborted) return tooSlow
  const worker = new Worker(new URL('database-probe-worker.ts', import.meta.url), {
    workerData: options,
    resourceLimits: { maxOldGenerationSizeMb: 128 },
  })
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeLimitMs)])
  limit.addEventListener('abort', () => void worker.terminate(), { once: true })
  const message = once(worker, 'message').then(([result]) => result as ProbeResult)
  const exit = once(worker, 'exit').then(() => tooSlow)
  try {
    return await Promise.race([message, exit])
  } catch (error) {
    if (errorCode(error) === 'ERR_WORKER_OUT_OF_MEMORY') return { kind: 'refused', reason: 'takes too much memory' }
    throw error
  } finally {
    await worker.terminate()
  }
}

const tooSlow: ProbeResult = { kind: 'refused', reason: `could not be opened within ${timeLimitMs / 1000} s` }
