import { hash, randomUUIDv7 } from 'node:crypto'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { currentRequest } from '@ipfleet/http-server/request-id.ts'
import { chunksOf } from '@ipfleet/ip-lists/chunker.ts'
import type { DecodedBody } from '@ipfleet/ip-lists/decoded-body.ts'
import { readInputs, type ReadLimits } from '@ipfleet/ip-lists/read-inputs.ts'
import type { JobStore } from '../jobs/job-store.ts'
import type { Job } from '../jobs/job.ts'
import type { StorageQuota } from '../limits/storage-quota.ts'
import type { ChunkQueue } from '../worker/chunk-queue.ts'
import { retryWhileDown } from '../jobs/retry-while-down.ts'
import type { JobRequest } from './job-request.ts'
import { queueCall } from './error-handlers.ts'
import type { Upload } from './upload.ts'

export interface JobIntakeDeps {
  readonly store: JobStore
  readonly queue: Pick<ChunkQueue, 'add'>
  readonly quota: StorageQuota
  readonly limits: ReadLimits
  /** How often the store is told that a body is still coming in. Default 15 s. */
  readonly stillThereMs?: number | undefined
}

export interface Submission {
  readonly owner: string
  /** Whose share of the store it counts in. */
  readonly holder: string
  readonly request: JobRequest
  readonly upload: Upload
  /** The same without its content coding. */
  readonly body: DecodedBody
}

/** Other requests may free a name as often as it is taken. */
const maxClaims = 3
const conflictRetrySeconds = 1

/** Makes jobs of bodies. A body that fails leaves nothing. */
export class JobIntake {
  readonly #deps: JobIntakeDeps

  constructor(deps: JobIntakeDeps) {
    this.#deps = deps
  }

  /**
   * @returns the job; `replayed`: an earlier request under the same Idempotency-Key has made it
   * @throws ProxyError for what is wrong with the body, `conflict` and `key_reused` for its Idempotency-Key, what
   * `StorageQuota.addJob` and `require` throw; and RedisUnavailable
   */
  async take({ owner, holder, request, upload, body }: Submission): Promise<{ job: Job; replayed: boolean }> {
    const { store, limits, quota, stillThereMs = 15_000 } = this.#deps
    const { fields, callback, idempotencyKey } = request
    const id = randomUUIDv7()
    const opened = () => store.open({ id, owner, holder, fields, callback, request: currentRequest() })
    await quota.addJob(holder, id, opened)
    const name = idempotencyKey === undefined ? undefined : nameOf(owner, idempotencyKey)
    const keeping = setInterval(() => {
      store.keepReceiving(id).catch(() => {
        // Redis is down. What is to be stored meets that too.
      })
    }, stillThereMs)
    try {
      const earlier = name === undefined ? undefined : await this.#claim(name, id)
      if (earlier) {
        await this.#forget(id, owner)
        if ((await upload.fingerprint()) !== earlier.fingerprint) throw new ProxyError('key_reused')
        return { job: earlier, replayed: true }
      }
      await this.#fill(id, holder, readInputs(body, request.form, limits))
      const job = await store.seal(id, owner, await upload.fingerprint())
      await queueCall(this.#submit(job))
      return { job, replayed: false }
    } catch (error) {
      await this.#forget(id, owner, name)
      throw error
    } finally {
      clearInterval(keeping)
    }
  }

  async #submit({ id, chunks, holder }: Job): Promise<void> {
    const { quota, queue } = this.#deps
    const { own } = await quota.usageOf(holder)
    await queue.add(id, [...Array(chunks.total).keys()], Math.max(1, own.pending))
  }

  /** One chunk is sent to the store while the next is read, so that the slower of both sets the pace. */
  async #fill(id: string, holder: string, inputs: AsyncIterable<readonly string[]>): Promise<void> {
    const { store, quota } = this.#deps
    let adding = Promise.resolve(0)
    let list = { lines: 0, bytes: 0 }
    const stored = async (): Promise<void> => {
      const bytes = await adding
      quota.add(holder, { bytes })
      list = { ...list, bytes: list.bytes + bytes }
      if (list.bytes > 0) await retryWhileDown(() => quota.require(holder, list))
    }
    for await (const { index, inputs: chunk } of chunksOf(inputs)) {
      await stored()
      list = { ...list, lines: list.lines + chunk.length }
      adding = retryWhileDown(() => store.add(id, index, chunk))
      // The rejection is handled where it is awaited. This prevents an unhandledRejection.
      adding.catch(() => {})
    }
    await stored()
  }

  /** @returns the job that has the name already. @throws ProxyError `conflict` while that is coming in */
  async #claim(name: string, id: string): Promise<Job | undefined> {
    const { store } = this.#deps
    for (let claims = 0; claims < maxClaims; claims += 1) {
      const held = await store.claimName(name, id)
      if (held === id) return undefined
      // In this order: a body that no longer comes in has become a job, or nothing.
      if (await store.isReceiving(held)) break
      const job = await store.read(held)
      if (job) return job
      await store.freeName(name, held)
    }
    throw new ProxyError('conflict', { retryAfterSeconds: conflictRetrySeconds })
  }

  /** Never rejects: what stays in a store that is down expires by itself. */
  async #forget(id: string, owner: string, name?: string): Promise<void> {
    const { store } = this.#deps
    try {
      await store.remove(id, owner)
      if (name !== undefined) await store.freeName(name, id)
    } catch {
      // The caller throws the failure that led here.
    }
  }
}

/** A client's key as it is stored: of fixed length, and not readable. */
function nameOf(owner: string, key: string): string {
  return hash('sha256', `${owner}\n${key}`, 'base64url')
}
