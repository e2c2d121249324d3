import type { ServerResponse } from 'node:http'
import type { ClientSignal } from '../dial/dialer.ts'

/**
 * A client that waits for its answer. It has left when its connection closes before the answer is out: a connection that
 * stays carries many requests, a response one.
 */
export class AwaitedAnswer implements ClientSignal {
  #aborted: boolean
  #listener: (() => void) | undefined

  constructor(res: ServerResponse) {
    this.#aborted = res.destroyed
    res.once('close', () => {
      this.#aborted = true
      this.#listener?.()
    })
  }

  get aborted(): boolean {
    return this.#aborted
  }

  /** Of one at a time. */
  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener
  }

  removeEventListener(): void {
    this.#listener = undefined
  }
}
