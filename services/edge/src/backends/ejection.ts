import { exponentialMs } from '@ipfleet/core/backoff.ts'

/** An ejection lasts at most so many times what is configured. */
const maxFactor = 8

/** What the traffic tells of one backend: failures in a row, and for how long it is left alone because of them. */
export class Ejection {
  readonly #onOver: () => void
  #failuresInARow = 0
  /** Ejections since it last answered. */
  #offences = 0
  #timer: NodeJS.Timeout | undefined

  /** @param onOver called when the time of an ejection is over; `isOn` is false by then */
  constructor(onOver: () => void) {
    this.#onOver = onOver
  }

  get isOn(): boolean {
    return this.#timer !== undefined
  }

  /** Answers that come while it is ejected were asked for before, and prove nothing. */
  answered(): void {
    if (this.isOn) return
    this.#failuresInARow = 0
    this.#offences = 0
  }

  /** Counts a failed attempt. @returns how many there were in a row; 0 while it is ejected */
  failed(): number {
    return this.isOn ? 0 : ++this.#failuresInARow
  }

  /** @returns how long it lasts: `ejectMs`, doubled for each ejection since the last answer, up to eight times that */
  begin(ejectMs: number): number {
    this.#offences += 1
    const lastsMs = exponentialMs(this.#offences, { firstMs: ejectMs, maxMs: maxFactor * ejectMs })
    this.#failuresInARow = 0
    this.#timer = setTimeout(() => this.#over(), lastsMs).unref()
    return lastsMs
  }

  /** Ends it, without a call back, and counts anew. The backend is a repeat offender all the same until it answers. */
  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#failuresInARow = 0
  }

  #over(): void {
    this.#timer = undefined
    this.#onOver()
  }
}
