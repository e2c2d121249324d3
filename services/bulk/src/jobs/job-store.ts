import { randomUUIDv7 } from 'node:crypto'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { packed, unpacked } from './packed.ts'
import type { CallbackState, Job } from './job.ts'
import { jobOf } from './job-record.ts'
import { JobNames } from './job-keys.ts'

const openJob = command('open-job')
const addChunk = command('add-chunk')
const indexJob = command('index-job')
const sealJob = command('seal-job')
const beginChunk = command('begin-chunk')
const finishChunk = command('finish-chunk')
const endJob = command('end-job')
const removeJob = command('remove-job')
const noteCallback = command('note-callback')
const freeName = command('free-name')
const noteWaiting = command('note-waiting')

export interface NewJob {
  readonly owner: string
  /** In whose share of the store it is (`Job.holder`). Default: the owner's. */
  readonly holder?: string
  readonly fields?: readonly string[] | undefined
  readonly callback?: string | undefined
  /** Of the request that brings it: what is done for the job is logged under this id. */
  readonly requestId?: string | undefined
}

/** What came of a chunk. */
export interface ChunkResult {
  /** NDJSON, a line for each input, each with its line end. */
  readonly body: Buffer
  readonly lines: number
  readonly answered: number
  readonly cached: number
  /** Error lines by code. */
  readonly errors: Readonly<Record<string, number>>
}

/** What a worker gets of a chunk. */
export type Begun =
  | {
      readonly kind: 'inputs'
      readonly inputs: readonly string[]
      readonly owner: string
      readonly holder: string
      readonly fields?: readonly string[]
      readonly requestId?: string
    }
  /** Its results are there already. */
  | { readonly kind: 'finished' }
  /** The job has been cancelled, or is not there any more. */
  | { readonly kind: 'gone' }

/** `known`: somebody else was first, and theirs stands. `completed`: it was the last one of its job. */
export type Finished = 'stored' | 'known' | 'completed' | 'gone'

/** The results of a chunk and where they stand among those of the job. */
export interface ChunkExtent {
  readonly index: number
  readonly lines: number
  /** Length of its NDJSON; undefined until it is done. */
  readonly bytes: number | undefined
}

export interface JobStoreOptions {
  /** How long a job that has ended can still be read. */
  readonly resultTtlMs: number
}

/** A body that stops coming in is forgotten after this. */
const receivingTtlMs = 600_000
/** A job under way that nobody works on is forgotten after this. */
const activeTtlMs = 7 * 86_400_000
/** How many chunks of results are read with one command. */
const resultsAtOnce = 4
/** How many jobs of a list are read together. */
const jobsAtOnce = 1000

/**
 * The jobs in Redis: a hash each, its inputs and results by chunk (compressed), and sorted sets of ids. Every method
 * throws RedisUnavailable when Redis gives no answer; `full` when it has no memory left.
 */
export class JobStore {
  readonly #link: RedisLink
  readonly #names: JobNames
  readonly #resultTtlMs: number

  constructor(link: RedisLink, { resultTtlMs }: JobStoreOptions) {
    this.#link = link
    this.#names = new JobNames(link.names)
    this.#resultTtlMs = resultTtlMs
  }

  /** Begins a job that is to be filled with `add` and then sealed. @returns its id */
  async open({ owner, holder = owner, fields, callback, requestId }: NewJob): Promise<string> {
    // Ids of version 7 sort by time, so that lists need no other order.
    const id = randomUUIDv7()
    const wanted = fields === undefined ? '' : JSON.stringify(fields)
    const args = [receivingTtlMs, owner, wanted, callback ?? '', holder, requestId ?? '']
    await this.#link.lua(openJob, [this.#names.keysOf(id).job], args)
    // Listed from here on: what is not listed is not counted, and not swept should this process die.
    const listTtlMs = Math.max(activeTtlMs, this.#resultTtlMs)
    await this.#link.lua(indexJob, [this.#names.all, this.#names.ofOwner(owner)], [listTtlMs, id])
    return id
  }

  /**
   * Adds the chunk `index`, the next one.
   * @returns the bytes that it takes
   * @throws ProxyError `not_found` when the job is gone
   */
  async add(id: string, index: number, inputs: readonly string[]): Promise<number> {
    const { job, inputs: inputsKey, chunks } = this.#names.keysOf(id)
    const body = await packed(JSON.stringify(inputs))
    const args = [receivingTtlMs, index, inputs.length, body]
    if ((await this.#link.lua(addChunk, [job, inputsKey, chunks], args)) === 0) throw new ProxyError('not_found')
    return body.length
  }

  /** The body has come in: from here on the job is there. @param fingerprint of that body */
  async seal(id: string, fingerprint: string): Promise<Job> {
    const { job, inputs, chunks } = this.#names.keysOf(id)
    const sealed = await this.#link.lua(sealJob, [job, inputs, chunks], [activeTtlMs, fingerprint])
    if (sealed === 0) throw new ProxyError('not_found')
    return (await this.read(id)) ?? gone()
  }

  /** Undefined for a job that is not there (any more), and for one of which the body is still coming in. */
  async read(id: string): Promise<Job | undefined> {
    const job = await this.#readAny(id)
    return job?.state === 'receiving' ? undefined : job
  }

  /**
   * Jobs, newest first; all of them without an owner. Ids of which the job has expired are dropped on the way.
   * @param before the last id of the page before
   */
  async list(
    owner: string | undefined,
    { limit, before }: { readonly limit: number; readonly before?: string | undefined },
  ): Promise<Job[]> {
    const jobs: Job[] = []
    for await (const page of this.#pages(owner, Math.min(limit, jobsAtOnce), before)) {
      jobs.push(...page.filter(({ state }) => state !== 'receiving'))
      if (jobs.length >= limit) break
    }
    return jobs.slice(0, limit)
  }

  /** The newest jobs, up to `max`, also those of which the body is still coming in. */
  async listAll(max: number): Promise<Job[]> {
    const jobs: Job[] = []
    for await (const page of this.#pages(undefined, Math.min(max, jobsAtOnce))) {
      jobs.push(...page)
      if (jobs.length >= max) break
    }
    return jobs
  }

  async *#pages(owner: string | undefined, size: number, before?: string): AsyncGenerator<Job[]> {
    const index = owner === undefined ? this.#names.all : this.#names.ofOwner(owner)
    for (let cursor = before; ;) {
      const from = cursor === undefined ? '+' : `(${cursor}`
      const ids = await this.#link.run((client) => client.zrevrangebylex(index, from, '-', 'LIMIT', 0, size))
      if (ids.length === 0) return
      const read = await Promise.all(ids.map((id) => this.#readAny(id)))
      const lost = ids.filter((_, at) => read[at] === undefined)
      if (lost.length > 0) await this.#link.run((client) => client.zrem(index, ...lost))
      yield read.filter((job) => job !== undefined)
      cursor = ids.at(-1)
    }
  }

  /** A worker takes up a chunk; the first of a job makes it `running`. */
  async begin(id: string, index: number): Promise<Begun> {
    const { job, inputs, results } = this.#names.keysOf(id)
    const reply = await this.#link.luaForBytes(beginChunk, [job, inputs, results], [index])
    type Reply = [Buffer, Buffer?, Buffer?, Buffer?, Buffer?, Buffer?]
    const [kind, body, owner, fields, holder, request] = reply as Reply
    if (kind.toString() !== 'inputs' || body === undefined) {
      return { kind: kind.toString() === 'finished' ? 'finished' : 'gone' }
    }
    const wanted = fields === undefined || fields.length === 0 ? {} : { fields: stringsIn(fields) }
    const from = request === undefined || request.length === 0 ? {} : { requestId: String(request) }
    return {
      kind: 'inputs',
      inputs: stringsIn(await unpacked(body)),
      owner: String(owner),
      holder: String(holder),
      ...wanted,
      ...from,
    }
  }

  /** Keeps the results of a chunk, unless there are some: whoever comes second changes nothing. */
  async finish(id: string, index: number, result: ChunkResult): Promise<Finished> {
    const { job, inputs, results, chunks, bytes } = this.#names.keysOf(id)
    const counts = [result.body.length, result.lines, result.answered, result.cached]
    const args = [activeTtlMs, this.#resultTtlMs, this.#names.changes, id, index, await packed(result.body), ...counts]
    const errors = Object.entries(result.errors).flat()
    return (await this.#link.lua(finishChunk, [job, inputs, results, chunks, bytes], [...args, ...errors])) as Finished
  }

  /** Every chunk of a job, in order. */
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

  /** The NDJSON of some chunks, as far as they are done. At most `resultsAtOnce` at a time: mind the memory. */
  async results(id: string, indices: readonly number[]): Promise<(Buffer | undefined)[]> {
    const fields = indices.slice(0, resultsAtOnce).map(String)
    const bodies = await this.#link.run((client) => client.hmgetBuffer(this.#names.keysOf(id).results, ...fields))
    return Promise.all(bodies.map(async (body) => (body === null ? undefined : unpacked(body))))
  }

  /** @returns whether it was under way and is `cancelled` now */
  async cancel(id: string): Promise<boolean> {
    const { job, inputs, results, chunks, bytes } = this.#names.keysOf(id)
    const args = [this.#resultTtlMs, this.#names.changes, id, this.#names.cancellations]
    return (await this.#link.lua(endJob, [job, inputs, results, chunks, bytes], args)) === 1
  }

  /** Forgets a job and all that belongs to it. */
  async remove(id: string, owner: string): Promise<void> {
    const { all, changes, cancellations } = this.#names
    await this.#link.lua(removeJob, Object.values(this.#names.keysOf(id)), [changes, id, cancellations])
    const ofOwner = this.#names.ofOwner(owner)
    await this.#link.run((client) => Promise.all([client.zrem(all, id), client.zrem(ofOwner, id)]))
  }

  async noteCallback(id: string, state: CallbackState, attempts: number, reason = ''): Promise<void> {
    await this.#link.lua(noteCallback, [this.#names.keysOf(id).job], [this.#names.changes, id, state, attempts, reason])
  }

  /** It waits for room, until its next result. */
  async noteWaiting(id: string): Promise<void> {
    await this.#link.lua(noteWaiting, [this.#names.keysOf(id).job], [])
  }

  /** Remembers which job an Idempotency-Key stands for. @returns the id that it stands for now */
  async claimName(name: string, id: string): Promise<string> {
    const key = this.#names.idempotency(name)
    const taken = await this.#link.run((client) => client.set(key, id, 'PX', activeTtlMs, 'NX', 'GET'))
    return taken ?? id
  }

  /** As long as the name stands for that job. */
  async freeName(name: string, id: string): Promise<void> {
    await this.#link.lua(freeName, [this.#names.idempotency(name)], [id])
  }

  /** Whether its body is still coming in. */
  async isReceiving(id: string): Promise<boolean> {
    return (await this.#link.run((client) => client.hget(this.#names.keysOf(id).job, 'state'))) === 'receiving'
  }

  /** Also one of which the body is still coming in. */
  async #readAny(id: string): Promise<Job | undefined> {
    const [record, time] = await this.#link.run((client) =>
      Promise.all([client.hgetall(this.#names.keysOf(id).job), client.time()]),
    )
    return jobOf(id, record, Number(time[0]) * 1000)
  }
}

function command(name: string): LuaCommand {
  return luaCommand(new URL(`${name}.lua`, import.meta.url))
}

/** Of a list that was kept as JSON. */
function stringsIn(json: Buffer): string[] {
  return JSON.parse(json.toString('utf8')) as string[]
}

function gone(): never {
  throw new RedisUnavailable('reply', new Error('a job is gone that has just been there'))
}
