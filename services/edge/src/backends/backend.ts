import { seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { UpstreamPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { Candidate } from './balancers.ts'
import { Ejection } from './ejection.ts'
import { type Endpoint, isSameEndpoint } from './endpoints.ts'
import type { HealthChecker } from './health-checker.ts'

/** `ejected`: left alone after failures of the traffic. `unhealthy`: by its active checks. Neither gets requests. */
export type BackendState = 'up' | 'ejected' | 'unhealthy'

/** What became of one attempt at a backend. */
export type AttemptEnd =
  /** It answered, with whatever status. */
  | 'answered'
  /** No connection could be made, or the connection died, or the answer did not come in time or made no sense. */
  | 'failed'
  /** The client left first, or nothing can be said of the backend. */
  | 'unknown'

/** The share of its weight that a backend begins with when it starts slowly. */
const initialShare = 0.1

/** One endpoint of a group, with all that the group knows of it. */
export class Backend implements Candidate {
  readonly pool: UpstreamPool
  readonly seed: number
  readonly ejection: Ejection
  checker: HealthChecker | undefined
  state: BackendState = 'up'
  /** Requests under way, of this process. */
  inFlight = 0
  /** When it last began an answer (`performance.now()`). */
  answeredMs = -Infinity
  effectiveWeight: number
  turn: number
  readonly #firstTurn: number
  #endpoint: Endpoint
  /** Undefined when it has its full weight. */
  #warmFromMs: number | undefined

  /**
   * @param firstTurn far less than 1
   * @param onReturn called when an ejection is over
   */
  constructor(endpoint: Endpoint, pool: UpstreamPool, firstTurn: number, onReturn: (backend: Backend) => void) {
    this.#endpoint = endpoint
    this.pool = pool
    this.#firstTurn = firstTurn
    this.turn = firstTurn
    this.seed = seedOf(endpoint.id)
    this.effectiveWeight = endpoint.weight
    this.ejection = new Ejection(() => onReturn(this))
  }

  get id(): string {
    return this.#endpoint.id
  }

  get authority(): string {
    return this.#endpoint.authority
  }

  get hostname(): string | undefined {
    return this.#endpoint.hostname
  }

  get isWarming(): boolean {
    return this.#warmFromMs !== undefined
  }

  /** Takes over what is new of its own endpoint, the weight. @returns false for another endpoint */
  update(endpoint: Endpoint): boolean {
    if (!isSameEndpoint(this.#endpoint, endpoint)) return false
    const share = this.effectiveWeight / this.#endpoint.weight
    this.#endpoint = endpoint
    this.effectiveWeight = endpoint.weight * share
    return true
  }

  /** Begins with a small share, and neither ahead of nor behind its turns. */
  startSlowly(nowMs: number): void {
    this.turn = this.#firstTurn
    this.#warmFromMs = nowMs
    this.effectiveWeight = this.#endpoint.weight * initialShare
  }

  /** Brings the effective weight up to date: it rises linearly, and is whole after `slowStartMs`. */
  warm(nowMs: number, slowStartMs: number): void {
    if (this.#warmFromMs === undefined) return
    const elapsedMs = nowMs - this.#warmFromMs
    const isWarm = elapsedMs >= slowStartMs
    if (isWarm) this.#warmFromMs = undefined
    const share = isWarm ? 1 : initialShare + (1 - initialShare) * (elapsedMs / slowStartMs)
    this.effectiveWeight = this.#endpoint.weight * share
  }

  /** Requests under way go on to their end. */
  close(): void {
    this.ejection.end()
    this.checker?.close()
    this.pool.close()
  }
}
