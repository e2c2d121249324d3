import { LRUCache } from 'lru-cache'
import type { Entry } from './entry.ts'

const settleAfterMs = 50
/** Some hundred microseconds, in which nothing else is done. */
const settledAtOnce = 1000

/**
 * The memory tier of one replica: the most recently used entries, bounded by their number. Entries past their
 * freshness stay until they are pushed out, as the last resort when nothing else answers.
 */
export class LruStore {
  readonly #entries: LRUCache<string, Entry>
  readonly #recheckAfterMs: number
  readonly #unsettled: Entry[] = []
  #bytes = 0
  #evictions = 0

  /** `recheckAfterMs`: how long an entry is served from here before the shared tier is asked again. */
  constructor({ maxEntries, recheckAfterMs }: { maxEntries: number; recheckAfterMs: number }) {
    this.#recheckAfterMs = recheckAfterMs
    this.#entries = new LRUCache({
      max: maxEntries,
      dispose: (entry, _query, reason) => {
        this.#bytes -= entry.bodyBytes
        if (reason === 'evict') this.#evictions += 1
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  /** Bytes of all bodies. */
  get bytes(): number {
    return this.#bytes
  }

  /** Entries pushed out by newer ones since start. */
  get evictions(): number {
    return this.#evictions
  }

  /** The entry if it may be served without asking anyone. The path of every hit: a look-up and a comparison. */
  getServable(query: string, nowMs: number): Entry | undefined {
    const entry = this.#entries.get(query)
    return entry !== undefined && nowMs < entry.recheckAtMs ? entry : undefined
  }

  /** The entry however old it is. */
  get(query: string): Entry | undefined {
    return this.#entries.get(query)
  }

  set(query: string, entry: Entry, nowMs: number): void {
    // Shortly before its end an entry goes the long way, where its refresh is decided on.
    entry.recheckAtMs = nowMs + Math.min(this.#recheckAfterMs, entry.freshLeftMs(nowMs) - entry.earlyMs)
    if (this.#entries.peek(query) === entry) return
    this.#bytes += entry.bodyBytes
    this.#entries.set(query, entry)
    this.#settleSoon(entry)
  }

  clear(): void {
    this.#entries.clear()
  }

  /** Not at once: the caller that has found the entry is about to read its bytes. */
  #settleSoon(entry: Entry): void {
    this.#unsettled.push(entry)
    if (this.#unsettled.length === 1) setTimeout(() => this.#settle(), settleAfterMs).unref()
  }

  #settle(): void {
    const some = this.#unsettled.splice(0, settledAtOnce)
    for (const entry of some) entry.settle()
    if (this.#unsettled.length > 0) setTimeout(() => this.#settle(), 1).unref()
  }
}
