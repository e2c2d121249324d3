import type { ApiKey } from './api-key.ts'
import {
  type BenchTimes,
  deniedFor,
  quotaTurnsInMs,
  exhaustedFor,
  limitedFor,
  quarantineFor,
  suspectedFor,
} from './bench-times.ts'
import type { Bench, BenchReason, KeyStore } from './key-store.ts'
import { isNearlyEmpty } from './quota.ts'
import type { Limit, Ticket } from './ticket.ts'

export interface KeyBenchesDeps {
  readonly store: KeyStore
  readonly times: BenchTimes
  /** Wall clock: quotas turn with the month. */
  readonly epochMs: () => number
  /** The other keys of the account, which are benched with the key. */
  readonly peersOf: (key: ApiKey) => readonly string[]
  /** @param product for that only; undefined: as a whole */
  readonly onBench: (id: string, reason: BenchReason, durationMs: number, product: string | undefined) => void
}

/** For what a verdict benches a key, and for how long. */
export class KeyBenches {
  readonly #deps: KeyBenchesDeps

  constructor(deps: KeyBenchesDeps) {
    this.#deps = deps
  }

  /** @returns whether nothing says for how long, so that its account should be looked at */
  async limited({ key, product }: Ticket, { scope, reason, retryAfterSeconds, seen }: Limit): Promise<boolean> {
    const of = scope === 'key' ? undefined : product.name
    const saidSeconds = retryAfterSeconds ?? (seen !== undefined && seen.remaining < 1 ? seen.resetSeconds : undefined)
    if (reason === 'exhausted') {
      await this.exhausted(
        key,
        of,
        saidSeconds === undefined ? quotaTurnsInMs(this.#deps.epochMs()) : saidSeconds * 1000,
      )
      return false
    }
    // A tool's limit is its own; a nearly empty quota does not explain it.
    const isUnexplained = saidSeconds === undefined && product.kind !== 'tool'
    // Nor does it where the key goes on beyond its plan.
    const emptyMs = isUnexplained && key.overage !== 'pay' ? await this.#emptyForMs(key.id) : undefined
    if (emptyMs !== undefined) await this.exhausted(key, undefined, emptyMs)
    else await this.#bench(key, of, { reason, ...limitedFor(this.#deps.times, saidSeconds) })
    return isUnexplained
  }

  /** Until its quota is full again. */
  exhausted(key: ApiKey, product: string | undefined, resetMs: number): Promise<void> {
    return this.#bench(key, product, { reason: 'exhausted', ...exhaustedFor(resetMs) })
  }

  /** Upstream does not accept the key. */
  refused(key: ApiKey): Promise<void> {
    return this.#bench(key, undefined, { reason: 'denied', ...quarantineFor(this.#deps.times) })
  }

  /** The key may not ask the product. @param isCertain if not, the refusal may be about the query */
  denied({ key, product }: Ticket, status: number, isCertain: boolean): Promise<void> {
    const { times } = this.#deps
    const duration = isCertain ? deniedFor(times) : suspectedFor(times)
    return this.#bench(key, product.name, { reason: 'denied', status, ...duration })
  }

  async #bench(
    key: ApiKey,
    product: string | undefined,
    bench: Omit<Bench, 'id' | 'product' | 'peers'>,
  ): Promise<void> {
    const { store, peersOf, onBench } = this.#deps
    const peers = peersOf(key)
    const scope = { id: key.id, ...(product !== undefined && { product }), ...(peers.length > 0 && { peers }) }
    const forMs = await store.bench({ ...scope, ...bench })
    for (const id of [key.id, ...peers]) onBench(id, bench.reason, forMs, product)
  }

  /** Until its account's quota is full again, if that is (nearly) gone. */
  async #emptyForMs(id: string): Promise<number | undefined> {
    const [quota] = await this.#deps.store.quotas([id])
    return quota?.account && isNearlyEmpty(quota.account) ? quota.account.resetMs : undefined
  }
}
