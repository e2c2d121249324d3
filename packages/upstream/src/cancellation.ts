/** Ends one request before its time. An AbortController does the same for several times the work. */
export class Cancellation {
  #isCancelled = false
  #listener: (() => void) | undefined

  get isCancelled(): boolean {
    return this.#isCancelled
  }

  /** In the place of the listener before; called at once where it is cancelled already. */
  onCancel(listener: () => void): void {
    this.#listener = listener
    if (this.#isCancelled) listener()
  }

  cancel(): void {
    if (this.#isCancelled) return
    this.#isCancelled = true
    this.#listener?.()
  }
}
