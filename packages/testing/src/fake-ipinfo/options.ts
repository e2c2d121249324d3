import type { Clock } from '@ipfleet/core/clock.ts'
import type { FakeKey } from './accounts.ts'

/** What can be set of a fake IPinfo; nothing has to be. */
export interface FakeIpinfoOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /** The tokens that exist; any other answers 403. Left out: every token exists, without a quota. */
  readonly keys?: Readonly<Record<string, FakeKey>>
  /** Addresses about which every key is refused, with 403 "Unknown token". */
  readonly blocked?: readonly string[]
  /** Default true: without a token 429, once `keylessQuota` requests were answered. */
  readonly requireToken?: boolean
  /** Default 0. */
  readonly keylessQuota?: number
  /** Time that every answer takes. Default 0. */
  readonly latencyMs?: number
  /** Sent as Retry-After with every 429 of a quota. IPinfo sends none, so the default is none. */
  readonly retryAfterSeconds?: number
  /** X-RateLimit-Limit and -Remaining on every answer; IPinfo sends none, so the default is false. */
  readonly rateLimitHeaders?: boolean
  /** How many of the newest calls the log keeps. Default: all. */
  readonly maxCalls?: number
  /** Answers `/_fake/…`, the controls for other processes. Default false. */
  readonly hasControl?: boolean
  /** For `atMs` and the per-minute quotas. Default: monotonic, counted from the Unix epoch. */
  readonly clock?: Clock
}
