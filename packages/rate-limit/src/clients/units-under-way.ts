import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { within } from '@ipfleet/core/within.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import type { Decision } from '../rate-limiter.ts'

/** The requests of one client that may cost it units. */
interface Gate {
  /** What those that are under way may cost at most. */
  units: number
  /** The same of all that have ended. Only ever grows. */
  endedUnits: number
  /** Requests that want to be let in. */
  waiting: number
  /** Settles when all that came into the line before have left it. */
  line: Promise<void>
  /** Settles when one of those under way has ended. */
  ended: PromiseWithResolvers<void>
}

/** What a request wants that may cost units. */
export interface Entry {
  readonly maxUnits: number
  /** What is left to the client. */
  readonly check: () => Promise<Decision>
  /** Whether the client has gone meanwhile. */
  readonly hasLeft: () => boolean
}

/** Longer than most look-ups take. */
const maxWaitMs = 5000
/** One of those under way may have ended by then. */
const retryAfterMs = 1000

/**
 * Keeps the requests of a client that are under way together within what it has left: what a request costs is known when it
 * has ended. One that might cost more than is left waits in line for others to end, and is let in when it is the only one.
 */
export class UnitsUnderWay {
  readonly #gates = new Map<string, Gate>()
  readonly #members: () => number
  readonly #clock: Clock

  /** @param members how many processes share what is left */
  constructor(members: () => number, clock: Clock = monotonicClock) {
    this.#members = members
    this.#clock = clock
  }

  /**
   * Whether the request may go on. Waits for others to end where that may make room. One that is let in has to `leave`.
   * @throws ProxyError `client_left`
   */
  async enter(id: string, entry: Entry): Promise<Decision> {
    const gate = this.#gates.getOrInsertComputed(id, newGate)
    gate.waiting += 1
    const untilMs = this.#clock.nowMs() + maxWaitMs
    try {
      const { decision, isOver } = await this.#try(gate, entry)
      return isOver ? decision : await this.#waitInLine(gate, entry, untilMs)
    } finally {
      gate.waiting -= 1
      this.#forgetIdle(id, gate)
    }
  }

  /** @param maxUnits as it entered with */
  leave(id: string, maxUnits: number): void {
    const gate = this.#gates.get(id)
    if (gate === undefined) return
    gate.units -= maxUnits
    gate.endedUnits += maxUnits
    gate.ended.resolve()
    gate.ended = Promise.withResolvers()
    this.#forgetIdle(id, gate)
  }

  async #waitInLine(gate: Gate, entry: Entry, untilMs: number): Promise<Decision> {
    const before = gate.line
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.line = promise
    await before
    try {
      for (;;) {
        const { ended } = gate
        // To be asked again is no wait for Redis beside the one for others.
        const { decision, isOver } = await withoutBudget(() => this.#try(gate, entry))
        if (isOver) return decision
        const leftMs = untilMs - this.#clock.nowMs()
        if (leftMs <= 0) return { ...decision, kind: 'limited', retryAfterMs }
        await within(leftMs, ended.promise)
      }
    } finally {
      resolve()
    }
  }

  /** Lets the request in if there is room for it. `isOver`: it is let in, or nothing is left. */
  async #try(gate: Gate, { maxUnits, check, hasLeft }: Entry): Promise<{ decision: Decision; isOver: boolean }> {
    const { endedUnits } = gate
    const decision = await check()
    if (hasLeft()) throw new ProxyError('client_left')
    if (decision.kind === 'limited') return { decision, isOver: true }
    // What has ended since it was asked what is left may not be counted in the answer.
    const units = gate.units + gate.endedUnits - endedUnits
    const parts = decision.isShare ? 1 : this.#members()
    const isIn = units === 0 || units + maxUnits <= decision.remaining / parts
    if (isIn) gate.units += maxUnits
    return { decision, isOver: isIn }
  }

  #forgetIdle(id: string, { units, waiting }: Gate): void {
    if (units === 0 && waiting === 0) this.#gates.delete(id)
  }
}

function newGate(): Gate {
  return { units: 0, endedUnits: 0, waiting: 0, line: Promise.resolve(), ended: Promise.withResolvers() }
}
