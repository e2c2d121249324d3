import type { ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { FairSlots } from '@ipfleet/upstream/fair-slots.ts'

/** An answer to a batch of 1000 takes about 0.5 MB until the client has read it. */
const maxBatches = 32
/** BULK_CONCURRENCY allows a bulk service 50 batches, which are spread over the replicas. */
const maxBatchesPerClient = 16
/** A batch that waits costs its list of items, which BODIES_MAX_BYTES bounds too. */
const maxQueued = 2048
/** A client that takes nothing of its answer for so long gives up its slot and its connection. */
const defaultSendTimeoutMs = 30_000

/**
 * Bounds the batches that are worked on, of one client and in all. A batch holds its slot from the beginning of the work
 * until its answer has been sent, so that neither many batches nor answers that stay unread take a replica's time and
 * memory.
 */
export class BatchSlots {
  readonly #slots = new FairSlots({ slots: maxBatches, slotsPerClient: maxBatchesPerClient, maxQueued })
  readonly #sendTimeoutMs: number

  constructor({ sendTimeoutMs = defaultSendTimeoutMs }: { readonly sendTimeoutMs?: number } = {}) {
    this.#sendTimeoutMs = sendTimeoutMs
  }

  /**
   * Resolves when the batch has a slot, which it holds until its response is closed.
   * @param client canonical; '' where it is not known
   * @throws ProxyError `overloaded` when too many wait, `client_left` when the client left while it waited
   */
  async take(client: string, res: ServerResponse): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const held = this.#slots.run(addressSubject(client), async () => {
      if (res.destroyed) throw new ProxyError('client_left')
      const { promise: closed, resolve: close } = Promise.withResolvers<true>()
      res.once('close', () => close(true))
      resolve()
      return closed
    })
    held.then((wasHeld) => wasHeld ?? reject(overloaded()), reject)
    return promise
  }

  /** From now on the client has to read its answer: Node 26 destroys the socket when nothing is taken for so long. */
  answering(res: ServerResponse): void {
    res.socket?.setTimeout(this.#sendTimeoutMs)
  }
}

function overloaded(): ProxyError {
  return new ProxyError('overloaded', {
    message: 'Too many batches wait for their turn, in all or of your address; send fewer at a time',
    retryAfterSeconds: 1,
  })
}
