import { Counts } from '@ipfleet/core/counts.ts'

export interface FairSlotsOptions {
  /** Maximum number of calls at a time. */
  readonly slots: number
  /** The same, for one client. Default: all slots. */
  readonly slotsPerClient?: number
  /** Maximum of calls that wait for a slot. One client may have half of the places that the others leave free. */
  readonly maxQueued: number
}

/**
 * A bulkhead in which clients take turns: while all slots are in use, the calls of one client wait in their order, and
 * each free slot goes to the next client. So a client with many calls delays only its own.
 */
export class FairSlots {
  readonly #options: FairSlotsOptions
  #inUse = 0
  #waiting = 0
  readonly #inUseByClient = new Counts()
  readonly #queues = new Map<string, (() => void)[]>()

  constructor(options: FairSlotsOptions) {
    this.#options = options
  }

  /** Runs the call as soon as there is a slot. Undefined: it was not run, since too many wait, in all or of this client. */
  async run<T>(client: string, call: () => Promise<T>): Promise<T | undefined> {
    if (this.#inUse < this.#options.slots && this.#mayHoldMore(client)) this.#count(client, 1)
    else if (this.#mayWait(client)) await this.#wait(client)
    else return undefined
    try {
      return await call()
    } finally {
      this.#count(client, -1)
      this.#handOn()
    }
  }

  #mayHoldMore(client: string): boolean {
    return this.#inUseByClient.of(client) < (this.#options.slotsPerClient ?? this.#options.slots)
  }

  #count(client: string, change: 1 | -1): void {
    this.#inUse += change
    this.#inUseByClient.add(client, change)
  }

  #mayWait(client: string): boolean {
    const own = this.#queues.get(client)?.length ?? 0
    const leftByOthers = this.#options.maxQueued - (this.#waiting - own)
    return own < Math.ceil(leftByOthers / 2)
  }

  #wait(client: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#queues.getOrInsert(client, []).push(resolve)
    this.#waiting += 1
    return promise
  }

  /** The slot goes to the first call of the next client that may hold one more. */
  #handOn(): void {
    const next = this.#queues.entries().find(([client]) => this.#mayHoldMore(client))
    if (next === undefined) return
    const [client, queue] = next
    const begin = queue.shift()
    this.#waiting -= 1
    this.#count(client, 1)
    this.#queues.delete(client)
    // Behind the other clients.
    if (queue.length > 0) this.#queues.set(client, queue)
    begin?.()
  }
}
