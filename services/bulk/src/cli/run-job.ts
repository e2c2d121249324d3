import { randomUUID } from 'node:crypto'
import { failure } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import type { FleetClient } from './fleet-client.ts'
import type { FleetJob } from './fleet-job.ts'
import { findJob, jobPath } from './job-results.ts'
import { uploadJob } from './job-upload.ts'
import type { KeptState } from './kept-state.ts'
import type { RetryPolicy } from './retry-policy.ts'
import type { Source } from './sources.ts'

export interface RunJobDeps {
  readonly client: FleetClient
  readonly options: BulkOptions
  readonly sources: readonly Source[]
  readonly state: KeptState
  readonly retryPolicy: RetryPolicy
  readonly note: (text: string) => void
  readonly signal: AbortSignal
}

const cancelTimeoutMs = 5000

/** The job of a run at the fleet. */
export class RunJob {
  readonly #deps: RunJobDeps
  #bytesSent: (() => number) | undefined

  constructor(parts: RunJobDeps) {
    this.#deps = parts
  }

  /** Of the lists, while they are handed over. */
  get bytesSent(): number | undefined {
    return this.#bytesSent?.()
  }

  /**
   * The one that was named, or that the run before has left; else a new one.
   * @throws CommandFault; the signal's reason when it aborts
   */
  async get(): Promise<FleetJob> {
    const { client, options, state, retryPolicy, note, signal } = this.#deps
    const id = options.job ?? state.now.job
    if (id !== undefined) {
      const found = await findJob(id, { client, retryPolicy, signal })
      if (found) return found
      if (options.job !== undefined) throw failure(`there is no job ${id} at ${options.url}`)
      note(`the job ${id} is there no more; the list is handed over again`)
      await state.forgetJob()
    }
    return this.#create()
  }

  /** Whether the fleet has cancelled it. */
  async cancel(id: string): Promise<boolean> {
    try {
      const signal = AbortSignal.timeout(cancelTimeoutMs)
      const { status } = await this.#deps.client.askText({ method: 'DELETE', path: jobPath(id), signal })
      return status < 300
    } catch {
      return false
    }
  }

  async #create(): Promise<FleetJob> {
    const { client, options, sources, state, retryPolicy, signal } = this.#deps
    const key = state.now.uploadKey ?? randomUUID()
    await state.keep({ way: 'job', uploadKey: key })
    const { column, fields } = options
    const onProgress = (bytesRead: () => number): void => {
      this.#bytesSent = bytesRead
    }
    try {
      return await uploadJob({ client, sources, column, fields, key, retryPolicy, signal, onProgress })
    } finally {
      this.#bytesSent = undefined
    }
  }
}
