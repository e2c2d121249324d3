/** The limit grows and shrinks beyond so many batches that wait at the fleet: TCP Vegas' alpha and beta. */
const queuedToGrow = 2
const queuedToShrink = 4
/**
 * After so many answers the shortest time is measured anew, since the fleet may have grown, or slowed down: with half as
 * many under way, or the time that they wait for each other would count as the fleet's.
 */
const forgetAfter = 500

/**
 * How many batches are under way at a time: as many as the fleet answers without their getting slower, so that live
 * look-ups do not wait behind them. As in TCP Vegas (Brakmo and Peterson, 1995), of `limit` batches under way
 * `limit × (1 − shortest ÷ latest)` are waiting somewhere.
 */
export class AdaptiveLimit {
  readonly #min: number
  readonly #max: number
  #limit: number
  #minDurationMs = Infinity
  #smoothMs: number | undefined
  #answers = 0

  constructor({ max, min = 1 }: { readonly max: number; readonly min?: number }) {
    this.#max = max
    this.#min = Math.min(min, max)
    this.#limit = Math.min(max, 2)
  }

  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** A batch was answered. @param durationMs how long the fleet took */
  answered(durationMs: number): void {
    this.#answers += 1
    if (this.#answers % forgetAfter === 0) this.#beginAnew()
    this.#minDurationMs = Math.min(this.#minDurationMs, Math.max(durationMs, 0.1))
    this.#smoothMs = this.#smoothMs === undefined ? durationMs : this.#smoothMs * 0.8 + durationMs * 0.2
    const queued = this.#limit * (1 - this.#minDurationMs / Math.max(this.#smoothMs, this.#minDurationMs))
    if (queued < queuedToGrow) this.#set(this.#limit + 1 / Math.max(1, this.#limit))
    else if (queued > queuedToShrink) this.#set(this.#limit - 1 / Math.max(1, this.#limit))
  }

  /** A batch was refused, or not answered at all. */
  refused(): void {
    this.#set(this.#limit / 2)
  }

  #beginAnew(): void {
    this.#set(this.#limit / 2)
    this.#minDurationMs = Infinity
    this.#smoothMs = undefined
  }

  #set(limit: number): void {
    this.#limit = Math.min(this.#max, Math.max(this.#min, limit))
  }
}
