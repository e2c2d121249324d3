import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'

/**
 * `not_ours`: this machine does not have the address. `check_failed`: nothing is reached from it. `parent_failed`: a parent
 * that is not reached, or does not serve this proxy.
 */
export type OutReason = 'not_ours' | 'check_failed' | 'parent_failed'

/** Failures in a row that take a source out. */
const failuresToLeave = 2

interface SourceHealthEvents {
  /** `detail`: why, for people, where that is known: `ECONNREFUSED`, `answered 503`. */
  out: [reason: OutReason, detail: string | undefined]
  back: []
  /** The address could not be bound. Emitted each time. */
  notOurs: []
}

/**
 * Whether connections may leave from one source. A finding of this process takes it out until the next finding, one of
 * another replica for as long as that replica says. Each change is emitted once.
 */
export class SourceHealth extends EventEmitter<SourceHealthEvents> {
  readonly #clock: Clock
  #own: OutReason | undefined
  #detail: string | undefined
  #failuresInARow = 0
  #fleetUntilMs = -Infinity
  #fleetTimer: NodeJS.Timeout | undefined
  #isOut = false

  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  /** Why it is out; of another replica's finding that is not told. Undefined: it is not. */
  get outReason(): OutReason | undefined {
    return this.#isOut ? (this.#own ?? 'check_failed') : undefined
  }

  get isOut(): boolean {
    return this.#isOut
  }

  /** Whether the checks of this process keep it out: a finding that is true on every replica with the address. */
  get isFailing(): boolean {
    return this.#own !== undefined && this.#own !== 'not_ours'
  }

  /** How soon it can be back when the next check comes in `checkInMs`; 0 when it is not out. */
  backInMs(checkInMs: number): number {
    const ownMs = this.#own === undefined ? 0 : checkInMs
    return Math.max(0, ownMs, this.#fleetUntilMs - this.#clock.nowMs())
  }

  /**
   * A check, or a connection through a parent, succeeded. The finding of another replica stays, unless this replica
   * caused it.
   */
  succeeded(): void {
    if (this.isFailing) this.#forgetFleet()
    this.#failuresInARow = 0
    this.#own = undefined
    this.#settle()
  }

  /** A check failed because of the address, or a parent failed. */
  failed(reason: Exclude<OutReason, 'not_ours'> = 'check_failed', detail?: string): void {
    this.#failuresInARow += 1
    this.#detail = detail
    if (this.#failuresInARow >= failuresToLeave) this.#own = reason
    this.#settle()
  }

  /** The address could be bound. */
  isOurs(): void {
    if (this.#own === 'not_ours') this.#own = undefined
    this.#settle()
  }

  /** The address could not be bound. */
  isNotOurs(): void {
    this.#own = 'not_ours'
    this.#settle()
    this.emit('notOurs')
  }

  /** Another replica has taken it out for so long from now; 0: no longer. */
  heardOut(remainingMs: number): void {
    this.#forgetFleet()
    if (remainingMs > 0) {
      this.#fleetUntilMs = this.#clock.nowMs() + remainingMs
      this.#fleetTimer = setTimeout(() => this.heardOut(0), remainingMs).unref()
    }
    this.#settle()
  }

  /** No event follows. */
  close(): void {
    clearTimeout(this.#fleetTimer)
    this.removeAllListeners()
  }

  #forgetFleet(): void {
    clearTimeout(this.#fleetTimer)
    this.#fleetTimer = undefined
    this.#fleetUntilMs = -Infinity
  }

  #settle(): void {
    const isOut = this.#own !== undefined || this.#fleetTimer !== undefined
    if (isOut === this.#isOut) return
    this.#isOut = isOut
    const detail = this.isFailing ? this.#detail : undefined
    if (isOut) this.emit('out', this.outReason ?? 'check_failed', detail)
    else this.emit('back')
  }
}
