/** A worker that lived less has not got over its start. */
const youngMs = 5000
const firstMs = 100
const longestMs = 5000

/** How long a place stays empty after its worker died: not at all, unless one after the other dies young. */
export class RestartBackoff {
  #diedYoung = 0

  /** @returns milliseconds to wait, given how long the worker that died had lived */
  afterMs(livedMs: number): number {
    this.#diedYoung = livedMs < youngMs ? this.#diedYoung + 1 : 0
    return this.#diedYoung < 2 ? 0 : Math.min(longestMs, firstMs * 2 ** (this.#diedYoung - 2))
  }
}
