import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { within } from '@ipfleet/core/within.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import type { Decision } from '../rate-limiter.ts'

/** The requests of one client that may cost it units. */
interface Gate {
  /** What those that are under way may cost at most. */
  units: number
  /** Requests that wait to be let in, the one that is looked at among them. */
  waiting: number
  /** Settles when all that came before have been let in or refused. */
  turn: Promise<void>
  /** Settles when one of those under way has ended. */
  ended: PromiseWithResolvers<void>
}

/** Longer than most look-ups take. An upload that stops, or an upstream that hangs, keeps a client no longer from asking. */
const maxWaitMs = 5000

/**
 * Keeps the requests of a client that are under way together within what it has left: what a request costs is known when it
 * has ended. One that might cost more than is left waits for those before it, and is the only one under way then, unless that
 * takes too long.
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
   * Waits until the request may go on, or nothing is left. One that is let in has to `leave`.
   * @param most what it may cost
   * @param check what is left to the client
   */
  async enter(id: string, most: number, check: () => Promise<Decision>): Promise<Decision> {
    const gate = this.#gates.get(id) ?? newGate()
    this.#gates.set(id, gate)
    const untilMs = this.#clock.nowMs() + maxWaitMs
    const before = gate.turn
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.turn = promise
    gate.waiting += 1
    await before
    try {
      return await this.#enterNext(gate, most, check, untilMs)
    } finally {
      gate.waiting -= 1
      this.#forgetIdle(id, gate)
      resolve()
    }
  }

  /** @param most as it entered with */
  leave(id: string, most: number): void {
    const gate = this.#gates.get(id)
    if (gate === undefined) return
    gate.units -= most
    gate.ended.resolve()
    gate.ended = Promise.withResolvers()
    this.#forgetIdle(id, gate)
  }

  async #enterNext(gate: Gate, most: number, check: () => Promise<Decision>, untilMs: number): Promise<Decision> {
    for (let isFirst = true; ; isFirst = false) {
      // What ends while it is asked what is left may not be counted in the answer.
      const { units, ended } = gate
      // To be asked again is no wait for Redis beside the one for others.
      const decision = await (isFirst ? check() : withoutBudget(check))
      if (decision.kind === 'limited') return decision
      const leftMs = untilMs - this.#clock.nowMs()
      if (units === 0 || units + most <= decision.remaining / this.#members() || leftMs <= 0) {
        gate.units += most
        return decision
      }
      await within(leftMs, ended.promise)
    }
  }

  #forgetIdle(id: string, { units, waiting }: Gate): void {
    if (units === 0 && waiting === 0) this.#gates.delete(id)
  }
}

function newGate(): Gate {
  return { units: 0, waiting: 0, turn: Promise.resolve(), ended: Promise.withResolvers() }
}
