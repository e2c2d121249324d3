import { exponentialMs } from '@ipfleet/core/backoff.ts'

/** A worker that lived less has not got over its start. */
const youngMs = 5000
const backoff = { firstMs: 100, maxMs: 5000 }

/** How long a place stays empty after its worker died: not at all, unless one after the other dies young. */
export class RestartBackoff {
  #diedYoung = 0

  /** @returns milliseconds to wait, given how long the worker that died had lived */
  afterMs(livedMs: number): number {
    this.#diedYoung = livedMs < youngMs ? this.#diedYoung + 1 : 0
    return this.#diedYoung < 2 ? 0 : exponentialMs(this.#diedYoung - 1, backoff)
  }
}
