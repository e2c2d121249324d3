import type { ParentProxy } from './parent-proxy.ts'

/** What connections leave from: one address of this machine, or a parent proxy. */
export interface Source {
  /** What is bound: an address in canonical spelling. Of a parent, its label. */
  readonly address: string
  /** Undefined of a parent, which goes to addresses of both. */
  readonly family: 4 | 6 | undefined
  readonly parent?: ParentProxy
  /** What of IP_POOL lists it: an address, a prefix, the label of a parent. They are few, so it may label metrics. */
  readonly listedAs: string
}

/** A client's request to keep one source address. */
export interface Session {
  readonly id: string
  /** The address changes after this time; undefined: only when it is out. */
  readonly ttlSeconds: number | undefined
  /** The request fails rather than use another address. */
  readonly hard: boolean
}

export interface SourceRequest {
  /** The families of the target's addresses, the better one first. */
  readonly families: readonly (4 | 6)[]
  /**
   * The target's host and port in canonical spelling: an address may be benched for one site only. With the port, since
   * a dead port says nothing of an address that others reach another port from.
   */
  readonly site: string
  readonly session: Session | undefined
  /** The only source that will do, whatever the session: an address, or the label of a parent. */
  readonly chosen?: string | undefined
  /** The sources that this request has tried. */
  readonly tried: readonly Source[]
}

export type SourceChoice =
  | { readonly kind: 'source'; readonly source: Source }
  /** The pool has no address of these families. */
  | { readonly kind: 'no_family' }
  /** All are out; the first may be back after this time. Whole seconds, at least 1. */
  | { readonly kind: 'all_out'; readonly retryAfterSeconds: number }
  /** The session's address, or the chosen one, is out, and no other will do. */
  | { readonly kind: 'session_lost' }
  /** The chosen source is not in the pool. */
  | { readonly kind: 'unknown_source' }

/**
 * What came of a source at a target:
 * - `connected`: it works, and so does the target.
 * - `target_failed`: refused, unreachable or silent. Says nothing of the source, unless others reach the same site.
 * - `refused_by_site`: the site answered in a way that it gives to those it has blocked (403, 429).
 * - `not_ours`: this machine does not have the address (EADDRNOTAVAIL from bind).
 * - `no_ports`: it has no free port for this target. Not unhealthy.
 * - `parent_failed`: the parent was not reached, or does not serve this proxy.
 */
export type SourceOutcome =
  | 'connected'
  | 'target_failed'
  | 'refused_by_site'
  | 'not_ours'
  | 'no_ports'
  | 'parent_failed'

/** The addresses that connections leave from, and their rotation. */
export interface SourcePool {
  /** Takes the next source. A promise only where the fleet must be asked (least recently used). */
  next(request: SourceRequest): SourceChoice | Promise<SourceChoice>
  /** @param detail why a parent failed, for people */
  report(source: Source, site: string, outcome: SourceOutcome, detail?: string): void
}

export type CheckVerdict =
  | { readonly kind: 'good' }
  /** This machine does not have the address: it cannot be bound. */
  | { readonly kind: 'not_ours' }
  /** The address could be bound, but the target was not reached. `reason`: for people: `ECONNREFUSED`, `answered 503`. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** A parent was not reached, or does not serve this proxy. */
  | { readonly kind: 'parent_failed'; readonly reason?: string }
  /** This machine lacks what a check needs: file descriptors, ports, memory. Says nothing of the address. */
  | { readonly kind: 'unknown' }

/** One check. Never rejects; what comes of a check after `signal` has no meaning. */
export type SourceCheck = (source: Source, signal: AbortSignal) => Promise<CheckVerdict>
