import { zstdDecompressSync } from 'node:zlib'
import type { ListSummary, PartSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { rowsIn } from '@ipfleet/ip-lists/result-line.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { indicesOf, readyChunks } from '../results/extent.ts'
import type { ResultReader } from '../results/result-reader.ts'
import { JobNames } from './job-keys.ts'
import type { JobStore } from './job-store.ts'
import { hasEnded, type Job } from './job.ts'
import { pack } from '@ipfleet/core/packing.ts'

const keepSummary = luaCommand(new URL('keep-summary.lua', import.meta.url))

/** The field of the summary of the whole, beside those of chunks, which are numbers. */
const whole = 'all'
const partsAtOnce = 32

/**
 * What the results of jobs have in common. Each chunk is summed up when it is done, so that only these sums are put
 * together when they are asked for. All methods throw RedisUnavailable.
 */
export class JobSummaries {
  readonly #link: RedisLink
  readonly #names: JobNames
  readonly #store: Pick<JobStore, 'extents'>
  readonly #reader: Pick<ResultReader, 'stored'>

  constructor(link: RedisLink, store: Pick<JobStore, 'extents'>, reader: Pick<ResultReader, 'stored'>) {
    this.#link = link
    this.#names = new JobNames(link.names)
    this.#store = store
    this.#reader = reader
  }

  /** As far as the job has come. @throws ProxyError `not_found` when the job goes meanwhile */
  async read(job: Job, left: AbortSignal): Promise<ListSummary> {
    const [kept] = await this.#stored(job.id, [whole])
    if (kept !== undefined) return kept as ListSummary
    const indices = indicesOf(readyChunks(job, await this.#store.extents(job.id)))
    const summary = new IpSummary()
    for (let at = 0; at < indices.length; at += partsAtOnce) {
      left.throwIfAborted()
      await this.#addParts(summary, job.id, indices.slice(at, at + partsAtOnce), left)
    }
    const read = summary.toJSON()
    if (hasEnded(job)) await this.#keep(job.id, read)
    return read
  }

  async #addParts(summary: IpSummary, id: string, indices: readonly number[], left: AbortSignal): Promise<void> {
    const parts = await this.#stored(id, indices.map(String))
    for (const part of parts) if (part !== undefined) summary.addPart(part as PartSummary)
    // Chunks of releases before 0.2 have none.
    const without = indices.filter((_, at) => parts[at] === undefined)
    for await (const lines of this.#reader.stored(id, without, left)) summary.addResults(rowsIn(lines))
  }

  async #stored(id: string, fields: readonly string[]): Promise<unknown[]> {
    const key = this.#names.keysOf(id).summaries
    const bodies = await this.#link.run((client) => client.hmgetBuffer(key, ...fields))
    // The thread pool costs more than to unpack some tens of kilobytes.
    return bodies.map((body): unknown => (body ? JSON.parse(zstdDecompressSync(body).toString()) : undefined))
  }

  async #keep(id: string, summary: ListSummary): Promise<void> {
    const { job, summaries } = this.#names.keysOf(id)
    await this.#link.lua(keepSummary, [job, summaries], [await pack(JSON.stringify(summary))])
  }
}
