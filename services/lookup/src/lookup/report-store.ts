import { randomBytes } from 'node:crypto'
import type { ListSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
import { pack, unpack } from '@ipfleet/core/packing.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'

/** As long as bulk keeps a job, by default. */
const keptForMs = 86_400_000
/** Most values of a kind, such as cities: a list of half a million addresses may have as many. */
const maxValues = 1000
const maxInMemory = 100

/**
 * Reports of lists, by their random ids: a client that knows the id may see the report. They are kept beside the
 * answers, in the Redis that may evict them; without it, or while it is away, in memory, the newest hundred.
 */
export class ReportStore {
  readonly #link: RedisLink | undefined
  readonly #memory = new Map<string, ListSummary>()

  constructor(link: RedisLink | undefined) {
    this.#link = link
  }

  /** @returns its id, of 128 random bits */
  async keep(summary: ListSummary): Promise<string> {
    const id = randomBytes(16).toString('hex')
    const kept = mostOf(summary)
    // A long list has waited for Redis as long as a request may.
    if (!(await withoutBudget(() => this.#keepShared(id, kept)))) this.#keepHere(id, kept)
    return id
  }

  /** Undefined for one that is not there, or not any more. @throws ProxyError `store_away` */
  async read(id: string): Promise<ListSummary | undefined> {
    const link = this.#link
    const here = this.#memory.get(id)
    if (here !== undefined || link === undefined) return here
    const bytes = await link.run((client) => client.getBuffer(keyOf(link, id))).catch(away)
    return bytes === null ? undefined : (JSON.parse(String(await unpack(bytes))) as ListSummary)
  }

  /** @returns whether all replicas have it */
  async #keepShared(id: string, summary: ListSummary): Promise<boolean> {
    const link = this.#link
    if (link === undefined) return false
    const bytes = await pack(JSON.stringify(summary))
    try {
      await link.run((client) => client.set(keyOf(link, id), bytes, 'PX', keptForMs))
      return true
    } catch (error) {
      if (error instanceof RedisUnavailable) return false
      throw error
    }
  }

  #keepHere(id: string, summary: ListSummary): void {
    this.#memory.set(id, summary)
    forgetOldest(this.#memory, maxInMemory)
  }
}

function away(cause: unknown): never {
  if (!(cause instanceof RedisUnavailable)) throw cause
  throw new ProxyError('store_away', {
    message: 'The store of reports cannot be reached now',
    retryAfterSeconds: 5,
    cause,
  })
}

const keyOf = ({ names }: RedisLink, id: string): string => names.subjectKey('report', id)

/** Values are sorted: what is most is first. */
function mostOf(summary: ListSummary): ListSummary {
  const members = Object.entries(summary).map(([name, value]): [string, unknown] => [
    name,
    typeof value === 'object' ? Object.fromEntries(Object.entries(value).slice(0, maxValues)) : value,
  ])
  return Object.fromEntries(members) as unknown as ListSummary
}
