import type { Duplex } from 'node:stream'
import type { AnswerHead, ExchangeHandler } from './exchange-types.ts'
import type { UpstreamFault } from './upstream-fault.ts'

/** For who only asks whether a server answers, and how: with its head, or with all of the answer. */
export class AwaitedStatus implements ExchangeHandler {
  readonly #told = Promise.withResolvers<number>()
  readonly #part: 'head' | 'whole'
  #status = 0

  constructor(part: 'head' | 'whole', signal: AbortSignal) {
    this.#part = part
    // Who fails to ask awaits nothing.
    this.#told.promise.catch(() => {})
    if (signal.aborted) this.#told.reject(signal.reason)
    signal.addEventListener('abort', () => this.#told.reject(signal.reason))
  }

  /** Rejects with an UpstreamFault, or as the signal says. */
  get status(): Promise<number> {
    return this.#told.promise
  }

  answered({ status }: AnswerHead, whole: Buffer | undefined): void {
    this.#status = status
    if (this.#part === 'head' || whole !== undefined) this.ended()
  }

  ended(): void {
    this.#told.resolve(this.#status)
  }

  failed(fault: UpstreamFault): void {
    this.#told.reject(fault)
  }

  interim(): void {}

  data(): void {}

  drained(): void {}

  /** Nobody has asked for it. */
  switched(_head: AnswerHead, socket: Duplex): void {
    socket.destroy()
  }
}
