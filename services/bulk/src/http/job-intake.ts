import { hash } from 'node:crypto'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { currentRequestId } from '@ipfleet/http-server/request-id.ts'
import { chunksOf } from '../input/chunker.ts'
import type { DecodedBody } from '../input/decoded-body.ts'
import { readInputs, type ReadLimits } from '../input/read-inputs.ts'
import type { JobStore } from '../jobs/job-store.ts'
import type { Job } from '../jobs/job.ts'
import type { ListSoFar } from '../limits/storage-quota.ts'
import { retryWhileDown } from '../jobs/retry-while-down.ts'
import type { JobRequest } from './job-request.ts'
import { ofQueue } from './store-failure.ts'
import type { Upload } from './upload.ts'

export interface JobIntakeDeps {
  readonly store: JobStore
  /** Has a job looked up that has come in. */
  readonly submit: (job: Job) => Promise<void>
  readonly room: Room
  readonly limits: ReadLimits
}

/** Of the store, for clients' lists (`StorageQuota`). */
export interface Room {
  readonly require: (holder: string, list: ListSoFar) => Promise<void>
  /** A list begins to come in, or more of it has come in. */
  readonly add: (
    holder: string,
    usage: { readonly jobs?: number; readonly pending?: number; readonly bytes?: number },
  ) => void
}

/** What a client sends. */
export interface Delivery {
  readonly owner: string
  /** In whose share of the store it is. */
  readonly holder: string
  readonly request: JobRequest
  readonly upload: Upload
  /** The same without its content coding. */
  readonly body: DecodedBody
}

/** `replayed`: it has been there before, under the same Idempotency-Key. */
export interface Taken {
  readonly job: Job
  readonly replayed: boolean
}

/** Names may be freed by others as often as they are taken. */
const maxClaims = 3
const conflictRetrySeconds = 1

/** Makes jobs of bodies. A body that does not come in well leaves nothing. */
export class JobIntake {
  readonly #deps: JobIntakeDeps

  constructor(parts: JobIntakeDeps) {
    this.#deps = parts
  }

  /**
   * @throws ProxyError for what is wrong with the body, `conflict` and `key_reused` for its Idempotency-Key, what
   * `Room` throws; and RedisUnavailable
   */
  async take({ owner, holder, request, upload, body }: Delivery): Promise<Taken> {
    const { store, submit, limits, room } = this.#deps
    await room.require(holder, { lines: 0, bytes: 0 })
    const { fields, callback, idempotencyKey } = request
    room.add(holder, { jobs: 1, pending: 1 })
    const id = await store.open({ owner, holder, fields, callback, requestId: currentRequestId() })
    const name = idempotencyKey === undefined ? undefined : nameOf(owner, idempotencyKey)
    try {
      const earlier = name === undefined ? undefined : await this.#claim(name, id)
      if (earlier) {
        await this.#forget(id, owner)
        return { job: await sameAs(earlier, upload), replayed: true }
      }
      await this.#fill(id, holder, readInputs(body, request.form, limits))
      const job = await store.seal(id, await upload.fingerprint())
      await ofQueue(submit(job))
      return { job, replayed: false }
    } catch (error) {
      await this.#forget(id, owner, name)
      throw error
    }
  }

  /** One chunk is on its way to the store while the next is read, so that the client is held up by the slower one. */
  async #fill(id: string, holder: string, inputs: AsyncIterable<readonly string[]>): Promise<void> {
    const { store, room } = this.#deps
    let adding = Promise.resolve(0)
    let bytes = 0
    let lines = 0
    const stored = (added: number): void => {
      bytes += added
      room.add(holder, { bytes: added })
    }
    for await (const { index, inputs: chunk } of chunksOf(inputs)) {
      stored(await adding)
      const list = { lines, bytes }
      if (bytes > 0) await retryWhileDown(() => room.require(holder, list))
      lines += chunk.length
      adding = retryWhileDown(() => store.add(id, index, chunk))
      // The failure is met where it is awaited. This prevents an unhandledRejection.
      adding.catch(() => {})
    }
    stored(await adding)
    await retryWhileDown(() => room.require(holder, { lines, bytes }))
  }

  /** @returns the job that the name stands for already. @throws ProxyError `conflict` while that is coming in */
  async #claim(name: string, id: string): Promise<Job | undefined> {
    const { store } = this.#deps
    for (let claims = 0; claims < maxClaims; claims += 1) {
      const held = await store.claimName(name, id)
      if (held === id) return undefined
      // In this order: a body that is not coming in any more has become a job, or nothing.
      if (await store.isReceiving(held)) break
      const job = await store.read(held)
      if (job) return job
      await store.freeName(name, held)
    }
    throw new ProxyError('conflict', { retryAfterSeconds: conflictRetrySeconds })
  }

  /** Never rejects: what stays in a store that is away expires by itself. */
  async #forget(id: string, owner: string, name?: string): Promise<void> {
    const { store } = this.#deps
    try {
      await store.remove(id, owner)
      if (name !== undefined) await store.freeName(name, id)
    } catch {
      // The failure that led here is the one to tell.
    }
  }
}

/** A client's key as the store knows it: of fixed length, and not to be read there. */
function nameOf(owner: string, key: string): string {
  return hash('sha256', `${owner}\n${key}`, 'base64url')
}

async function sameAs(job: Job, upload: Upload): Promise<Job> {
  if ((await upload.fingerprint()) === job.fingerprint) return job
  throw new ProxyError('key_reused')
}
