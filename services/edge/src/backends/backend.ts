import { exponentialMs } from '@ipfleet/core/backoff.ts'
import { seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { UpstreamPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { Candidate } from './balancers.ts'
import { type Endpoint, isSameEndpoint } from './endpoints.ts'
import type { HealthChecker } from './health-checker.ts'

/** `ejected`: left alone after failures of the traffic. `unhealthy`: by its active checks. Neither gets requests. */
export type BackendState = 'up' | 'ejected' | 'unhealthy'

export type AttemptEnd =
  /** It answered, with whatever status. */
  | 'answered'
  /** No connection could be made, or the connection died, or the answer did not come in time or made no sense. */
  | 'failed'
  /** The client left first, or nothing can be said of the backend. */
  | 'unknown'

/** Why a backend was blamed, in the words of the log, and when (milliseconds since 1970). */
export interface BackendError {
  readonly reason: string
  readonly atMs: number
}

/** A backend at one moment, for metrics. */
export interface BackendSnapshot {
  readonly id: string
  readonly state: BackendState
  /** Its part of the requests is this, over the sum of those that are up. */
  readonly effectiveWeight: number
  readonly inFlight: number
  /** Connections, and requests that wait for one. */
  readonly open: number
  readonly idle: number
  readonly waiting: number
  readonly lastError?: BackendError | undefined
}

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
  /** Of the last failed attempt or check. */
  lastError: BackendError | undefined
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

  snapshot(): BackendSnapshot {
    const { id, state, effectiveWeight, inFlight, lastError } = this
    const { open, idle, waiting } = this.pool
    return { id, state, effectiveWeight, inFlight, open, idle, waiting, lastError }
  }

  /** Requests under way go on to their end. */
  close(): void {
    this.ejection.end()
    this.checker?.close()
    this.pool.close()
  }
}

/** An ejection lasts at most so many times what is configured. */
const maxFactor = 8

/** What the traffic tells of one backend: failures in a row, and for how long it is left alone because of them. */
class Ejection {
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
