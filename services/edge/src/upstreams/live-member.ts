import type { UpstreamPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import { seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { Candidate } from './balancer.ts'
import { Ejection } from './ejection.ts'
import type { HealthChecker } from './health-checker.ts'
import { isSameSeat, type Seat } from './seats.ts'
import type { Member } from './upstream-group.ts'

/** `ejected`: left alone after failures of the traffic. `unhealthy`: by its active checks. Neither gets requests. */
export type MemberState = 'up' | 'ejected' | 'unhealthy'

/** The share of its weight that a member begins with when it starts slowly. */
const leastShare = 0.1

/** A member with all that its group knows of it. */
export class LiveMember implements Member, Candidate {
  readonly pool: UpstreamPool
  readonly seed: number
  readonly ejection: Ejection
  checker: HealthChecker | undefined
  state: MemberState = 'up'
  inFlight = 0
  answeredMs = -Infinity
  effectiveWeight: number
  turn: number
  readonly #firstTurn: number
  #seat: Seat
  /** Undefined when it has its full weight. */
  #warmFromMs: number | undefined

  /**
   * @param firstTurn far less than 1
   * @param onReturn called when an ejection is over
   */
  constructor(seat: Seat, pool: UpstreamPool, firstTurn: number, onReturn: (member: LiveMember) => void) {
    this.#seat = seat
    this.pool = pool
    this.#firstTurn = firstTurn
    this.turn = firstTurn
    this.seed = seedOf(seat.id)
    this.effectiveWeight = seat.weight
    this.ejection = new Ejection(() => onReturn(this))
  }

  get id(): string {
    return this.#seat.id
  }

  get authority(): string {
    return this.#seat.authority
  }

  get hostname(): string | undefined {
    return this.#seat.hostname
  }

  get isWarming(): boolean {
    return this.#warmFromMs !== undefined
  }

  /** Whether it can fill this seat, and does so from now on. */
  take(seat: Seat): boolean {
    if (!isSameSeat(this.#seat, seat)) return false
    const share = this.effectiveWeight / this.#seat.weight
    this.#seat = seat
    this.effectiveWeight = seat.weight * share
    return true
  }

  /** Begins with a small share, and with no turns in arrear or ahead. */
  startSlowly(nowMs: number): void {
    this.turn = this.#firstTurn
    this.#warmFromMs = nowMs
    this.effectiveWeight = this.#seat.weight * leastShare
  }

  /** Brings the effective weight up to date: it rises linearly, and is whole after `slowStartMs`. */
  warm(nowMs: number, slowStartMs: number): void {
    if (this.#warmFromMs === undefined) return
    const elapsedMs = nowMs - this.#warmFromMs
    const isWarm = elapsedMs >= slowStartMs
    if (isWarm) this.#warmFromMs = undefined
    const share = isWarm ? 1 : leastShare + (1 - leastShare) * (elapsedMs / slowStartMs)
    this.effectiveWeight = this.#seat.weight * share
  }

  /** Requests under way go on to their end. */
  close(): void {
    this.ejection.end()
    this.checker?.close()
    this.pool.close()
  }
}
