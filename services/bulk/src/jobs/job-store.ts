import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { formatTraceparent, parseTraceparent } from '@ipfleet/core/trace-context.ts'
import type { RequestScope } from '@ipfleet/http-server/request-id.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { JobNames } from './job-keys.ts'
import { jobOf } from './job-record.ts'
import { pack, unpack } from '@ipfleet/core/packing.ts'
import type { Begun, CallbackState, ChunkExtent, Finished, Job, SummedResult } from './job.ts'

const command = (name: string) => luaCommand(new URL(`${name}.lua`, import.meta.url))
const openJob = command('open-job')
const addChunk = command('add-chunk')
const sealJob = command('seal-job')
const beginChunk = command('begin-chunk')
const finishChunk = command('finish-chunk')
const endJob = command('end-job')
const noteCallback = command('note-callback')
const freeName = command('free-name')
const noteWaiting = command('note-waiting')

export interface NewJob {
  /** Default: a new one. They sort by time (UUIDs of version 7), so that lists need no other order. */
  readonly id?: string
  readonly owner: string
  /** In whose share of the store it is (`Job.holder`). Default: the owner's. */
  readonly holder?: string
  readonly fields?: readonly string[] | undefined
  readonly callback?: string | undefined
  /** That brings it: what is done for the job is logged under its id, and belongs to its trace. */
  readonly request?: RequestScope | undefined
}

const dayMs = 86_400_000
/** A body whose process has died is forgotten after this. */
const receivingTtlMs = 60_000
/** A job without any progress is forgotten after this. Quotas of keys, and units of clients, may be back in a month. */
const activeTtlMs = 40 * dayMs
/** Longer than a job may last. */
const listTtlMs = 800 * dayMs
const idempotencyTtlMs = 7 * dayMs
/** More than are added at a time, so that a list holds no more expired jobs than it has had at a time. */
const oldestAtOnce = 5
const resultsAtOnce = 4
/** Each takes some 30 µs to read, in which no other client is served. */
const jobsAtOnce = 100

/**
 * The jobs in Redis: a hash each, its inputs and results by chunk (compressed), and sorted sets of ids. Every method
 * throws RedisUnavailable when Redis gives no answer; `full` when it has no memory left.
 */
export class JobStore {
  readonly #link: RedisLink
  readonly #names: JobNames
  readonly #resultTtlMs: number

  /** @param resultTtlMs how long a job that has ended can still be read */
  constructor(link: RedisLink, { resultTtlMs }: { readonly resultTtlMs: number }) {
    this.#link = link
    this.#names = new JobNames(link.names)
    this.#resultTtlMs = resultTtlMs
  }

  /** Begins a job, which is filled with `add` and then sealed. @returns its id */
  async open(job: NewJob): Promise<string> {
    const { id = randomUUIDv7(), owner, holder = owner, fields, callback, request } = job
    // Who knows it sees the report, so that it must not be guessed: 128 random bits.
    const reportId = randomBytes(16).toString('hex')
    const wanted = fields === undefined ? '' : JSON.stringify(fields)
    const trace = request?.trace ? formatTraceparent(request.trace) : ''
    const args = [receivingTtlMs, owner, wanted, callback ?? '', holder, request?.id ?? '', trace, reportId]
    await this.#link.lua(openJob, [this.#names.keysOf(id).job], args)
    // In this list from the start, so that it is counted, and swept if this process dies.
    await this.#enlist(this.#names.all, id)
    return id
  }

  async #enlist(list: string, id: string): Promise<void> {
    await this.#link.run((client) => Promise.all([client.zadd(list, 0, id), client.pexpire(list, listTtlMs)]))
  }

  /**
   * Adds the chunk `index`, the next one.
   * @returns the bytes that it takes
   * @throws ProxyError `not_found` when the job is gone
   */
  async add(id: string, index: number, inputs: readonly string[]): Promise<number> {
    const { job, inputs: inputsKey, chunks } = this.#names.keysOf(id)
    const body = await pack(JSON.stringify(inputs))
    const args = [receivingTtlMs, index, inputs.length, body]
    if ((await this.#link.lua(addChunk, [job, inputsKey, chunks], args)) === 0) throw new ProxyError('not_found')
    return body.length
  }

  /** A body is still coming in, however slowly. To be called several times a minute. */
  async keepReceiving(id: string): Promise<void> {
    const { job, inputs, chunks } = this.#names.keysOf(id)
    await this.#link.lua(addChunk, [job, inputs, chunks], [receivingTtlMs])
  }

  /** The body has come in: the job becomes visible. @param fingerprint of that body */
  async seal(id: string, owner: string, fingerprint: string): Promise<Job> {
    const { job, inputs, chunks } = this.#names.keysOf(id)
    // Not before: a list of an owner's jobs would have all that never come in. Nor later: this process may die.
    const list = this.#names.ofOwner(owner)
    await this.#enlist(list, id)
    // Clients may never ask for its last page.
    await this.#listed(list, await this.#link.run((client) => client.zrange(list, '0', String(oldestAtOnce - 1))))
    const sealed = await this.#link.lua(sealJob, [job, inputs, chunks], [activeTtlMs, fingerprint])
    if (sealed === 0) throw new ProxyError('not_found')
    return (await this.read(id)) ?? gone()
  }

  /** Undefined for an unknown job, and for one whose body is still coming in. */
  async read(id: string): Promise<Job | undefined> {
    const [job] = await this.#readAll([id])
    return job?.state === 'receiving' ? undefined : job
  }

  /**
   * Jobs of an owner, newest first. Ids of expired jobs are removed from the list on the way.
   * @param before the last id of the page before
   */
  async list(owner: string, limit: number, before?: string): Promise<Job[]> {
    const jobs: Job[] = []
    for await (const page of this.#pages(this.#names.ofOwner(owner), Math.min(limit, jobsAtOnce), before)) {
      jobs.push(...page.filter(({ state }) => state !== 'receiving'))
      if (jobs.length >= limit) break
    }
    return jobs.slice(0, limit)
  }

  /** The jobs of all owners, newest first, including those whose body is still coming in. */
  async *all(): AsyncGenerator<Job> {
    for await (const page of this.#pages(this.#names.all, jobsAtOnce)) yield* page
  }

  async *#pages(list: string, size: number, before?: string): AsyncGenerator<Job[]> {
    for (let cursor = before; ;) {
      const from = cursor === undefined ? '+' : `(${cursor}`
      const ids = await this.#link.run((client) => client.zrevrangebylex(list, from, '-', 'LIMIT', 0, size))
      if (ids.length === 0) return
      yield await this.#listed(list, ids)
      cursor = ids.at(-1)
    }
  }

  /** Those of a list, from which the ids of expired jobs are removed. */
  async #listed(list: string, ids: readonly string[]): Promise<Job[]> {
    const read = await this.#readAll(ids)
    const lost = ids.filter((_, at) => read[at] === undefined)
    if (lost.length > 0) await this.#link.run((client) => client.zrem(list, ...lost))
    return read.filter((job) => job !== undefined)
  }

  /** A worker takes up a chunk; the first of a job makes it `running`. */
  async begin(id: string, index: number): Promise<Begun> {
    const { job, inputs, results } = this.#names.keysOf(id)
    const reply = await this.#link.luaForBytes(beginChunk, [job, inputs, results], [index])
    const [kind, body, owner, fields = '', holder, request = '', trace = ''] = reply as Buffer[]
    if (String(kind) !== 'inputs' || body === undefined) {
      return { kind: String(kind) === 'finished' ? 'finished' : 'gone' }
    }
    return {
      kind: 'inputs',
      inputs: stringsIn(await unpack(body)),
      owner: String(owner),
      holder: String(holder),
      ...(fields.length > 0 && { fields: stringsIn(fields) }),
      ...(request.length > 0 && { request: { id: String(request), trace: parseTraceparent(String(trace)) } }),
    }
  }

  /** Stores the results of a chunk and their summary, unless it has some already. */
  async finish(id: string, index: number, result: SummedResult): Promise<Finished> {
    const { job, inputs, results, chunks, bytes, summaries } = this.#names.keysOf(id)
    const counts = [result.body.length, result.lines, result.answered, result.cached]
    const packed = await Promise.all([pack(result.body), pack(JSON.stringify(result.summary))])
    const errors = Object.entries(result.errors).flat()
    const args = [activeTtlMs, this.#resultTtlMs, this.#names.changes, id, index, ...packed, ...counts, ...errors]
    return (await this.#link.lua(finishChunk, [job, inputs, results, chunks, bytes, summaries], args)) as Finished
  }

  async extents(id: string): Promise<ChunkExtent[]> {
    const { chunks, bytes } = this.#names.keysOf(id)
    const [lines, done] = await this.#link.run((client) =>
      Promise.all([client.lrange(chunks, 0, -1), client.hgetall(bytes)]),
    )
    return lines.map((count, index) => {
      const length = done[index]
      return { index, lines: Number(count), bytes: length === undefined ? undefined : Number(length) }
    })
  }

  /** The NDJSON of the first `resultsAtOnce` of these chunks; undefined for those that are not done. */
  async results(id: string, indices: readonly number[]): Promise<(Buffer | undefined)[]> {
    const fields = indices.slice(0, resultsAtOnce).map(String)
    const bodies = await this.#link.run((client) => client.hmgetBuffer(this.#names.keysOf(id).results, ...fields))
    return Promise.all(bodies.map(async (body) => (body === null ? undefined : unpack(body))))
  }

  /** @returns whether it had not ended and is `cancelled` now */
  async cancel(id: string): Promise<boolean> {
    const { job, inputs, results, chunks, bytes, summaries } = this.#names.keysOf(id)
    const args = [this.#resultTtlMs, this.#names.changes, id, this.#names.cancellations]
    return (await this.#link.lua(endJob, [job, inputs, results, chunks, bytes, summaries], args)) === 1
  }

  async remove(id: string, owner: string): Promise<void> {
    const { all, changes, cancellations } = this.#names
    await this.#link.run((client) => client.unlink(...Object.values(this.#names.keysOf(id))))
    await this.#link.run((client) =>
      Promise.all([
        client.publish(changes, id),
        client.publish(cancellations, id),
        client.zrem(all, id),
        client.zrem(this.#names.ofOwner(owner), id),
      ]),
    )
  }

  async noteCallback(id: string, state: CallbackState, attempts: number, reason = ''): Promise<void> {
    await this.#link.lua(noteCallback, [this.#names.keysOf(id).job], [this.#names.changes, id, state, attempts, reason])
  }

  /** The job waits for room in the store, until its next result. */
  async noteWaiting(id: string): Promise<void> {
    await this.#link.lua(noteWaiting, [this.#names.keysOf(id).job], [])
  }

  /** Claims the name that an Idempotency-Key makes. @returns the id of the job that has it */
  async claimName(name: string, id: string): Promise<string> {
    const key = this.#names.idempotency(name)
    const taken = await this.#link.run((client) => client.set(key, id, 'PX', idempotencyTtlMs, 'NX', 'GET'))
    return taken ?? id
  }

  /** Unless another job has the name now. */
  async freeName(name: string, id: string): Promise<void> {
    await this.#link.lua(freeName, [this.#names.idempotency(name)], [id])
  }

  /** Whether its body is still coming in. */
  async isReceiving(id: string): Promise<boolean> {
    return (await this.#link.run((client) => client.hget(this.#names.keysOf(id).job, 'state'))) === 'receiving'
  }

  /** Including jobs whose bodies are still coming in. */
  async #readAll(ids: readonly string[]): Promise<(Job | undefined)[]> {
    const [time, records] = await this.#link.run((client) =>
      Promise.all([client.time(), Promise.all(ids.map((id) => client.hgetall(this.#names.keysOf(id).job)))]),
    )
    const nowMs = Number(time[0]) * 1000
    return ids.map((id, at) => jobOf(id, records[at] ?? {}, nowMs))
  }
}

const stringsIn = (json: Buffer | string): string[] => JSON.parse(String(json)) as string[]

function gone(): never {
  throw new RedisUnavailable('reply', new Error('a job is gone that has just been there'))
}
