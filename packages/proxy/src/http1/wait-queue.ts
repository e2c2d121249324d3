import type { Exchange } from './exchange.ts'

/** Exchanges that wait for a connection: of each client in their order, the clients in turn. */
export class WaitQueue {
  readonly #byClient = new Map<string | undefined, Set<Exchange>>()
  /** Until when each waits (`performance.now()`). */
  readonly #untilMs = new Map<Exchange, number>()

  get size(): number {
    return this.#untilMs.size
  }

  ofClient(client: string | undefined): number {
    return this.#byClient.get(client)?.size ?? 0
  }

  has(exchange: Exchange): boolean {
    return this.#untilMs.has(exchange)
  }

  add(exchange: Exchange, untilMs: number): void {
    const { client } = exchange.request
    this.#untilMs.set(exchange, untilMs)
    this.#byClient.getOrInsert(client, new Set()).add(exchange)
    exchange.leaveQueue = () => this.delete(exchange)
  }

  delete(exchange: Exchange): void {
    if (!this.#untilMs.delete(exchange)) return
    const { client } = exchange.request
    const own = this.#byClient.get(client)
    own?.delete(exchange)
    if (own?.size === 0) this.#byClient.delete(client)
    exchange.leaveQueue = undefined
  }

  /** Takes the first one out of the line of the next client that may have a connection. */
  next(mayHaveOne: (client: string | undefined) => boolean): Exchange | undefined {
    for (const [client, own] of this.#byClient) {
      if (!mayHaveOne(client)) continue
      const [first] = own
      if (first === undefined) continue
      this.delete(first)
      // The others come before this client's next.
      if (this.#byClient.delete(client) && own.size > 0) this.#byClient.set(client, own)
      return first
    }
    return undefined
  }

  late(nowMs: number): readonly Exchange[] {
    if (this.size === 0) return []
    return [...this.#untilMs].filter(([, untilMs]) => untilMs <= nowMs).map(([exchange]) => exchange)
  }

  all(): readonly Exchange[] {
    return [...this.#untilMs.keys()]
  }
}
