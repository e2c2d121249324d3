import type { UpstreamPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { LatencyEstimate } from '../proxy/latency-estimate.ts'

/** One address that answers for a group. A backend that is a name has as many as the name has addresses. */
export interface Member {
  /** `10.0.0.3:8080` or `[fd00::3]:8080`: what `X-Backend` says. Also a label of metrics. */
  readonly id: string
  /** `name:port` as configured, without a default port: what Host says with `host = "backend"`. */
  readonly authority: string
  readonly pool: UpstreamPool
  /** Requests under way, of this process. */
  inFlight: number
  /** When it last began an answer (`performance.now()`). */
  answeredMs: number
}

/** What became of one attempt at a member. */
export type AttemptEnd =
  /** It answered, with whatever status. */
  | 'answered'
  /** No connection could be made, or the connection died, or the answer did not come in time or made no sense. */
  | 'failed'
  /** The client left first, or nothing can be said of the member. */
  | 'unknown'

/** The members of one group, and who of them is next. */
export interface UpstreamGroup {
  readonly name: string
  /** Of requests that may be asked elsewhere too. */
  readonly latency: LatencyEstimate
  /**
   * The next member for a request, counted as under way there until `done`; `tried` are not chosen again. `path` is the
   * request target (`hash` reads it). Undefined when no member is left.
   */
  next(path: string, tried: readonly Member[]): Member | undefined
  /**
   * As `next`, among those that are left alone because of failures: for a request that found nobody else. One that
   * answers is back at once. Otherwise, when the last that is up dies, nobody would be asked who may be well again.
   */
  lastResort(path: string, tried: readonly Member[]): Member | undefined
  done(member: Member, end: AttemptEnd): void
  /** When a member may be back, for Retry-After: whole seconds, at least 1. */
  retryAfterSeconds(): number
  /** Whether `next` would give a member. */
  readonly usable: boolean
}
