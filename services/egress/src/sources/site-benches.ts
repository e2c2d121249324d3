import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { SourceOutcome } from './source-pool.ts'

export interface SiteBenchesOptions {
  /** 0: no source is benched, not even by other replicas. */
  readonly benchMs: number
  readonly maxSites?: number
}

export interface SiteBench {
  readonly id: string
  readonly site: string
  readonly remainingMs: number
}

/** Failures in a row of one source at one site. */
interface Streak {
  /** When the last few came, oldest first, as numbers in the order of all reports. */
  failedAt: number[]
  /** Connections that the site may still refuse, oldest first. */
  unproven: Connection[]
  /** Whether the site has refused it, rather than not been reached. */
  isRefused: boolean
}

interface Connection {
  /** As in `Streak.failedAt`. */
  readonly at: number
  readonly madeMs: number
}

interface Site {
  readonly streaks: Map<string, Streak>
  /** Who has reached the site last, and when (as in `Streak.failedAt`). Latest last. */
  readonly reachedAt: Map<string, number>
  readonly benchedUntilMs: Map<string, number>
}

const failuresToBench = 3
/** A site that refuses does so within this time after the connection is made. */
const refusedWithinMs = 5000
/** Of one site: so many failing sources, and so many that reach it, are remembered. */
const maxStreaks = 256
const maxReached = 4
const maxUnproven = 32

/**
 * Which sources are not used for which sites. A source that has failed at a site three times in a row is benched there if
 * another source has reached the site since the first of these failures, so that the site is not to blame. While all
 * sources fail, none is benched.
 *
 * A connection over which the site refuses a request is no success. So a source that a site has refused counts as having
 * reached it only after a connection was not refused for a while.
 */
export class SiteBenches {
  readonly #clock: Clock
  readonly #benchMs: number
  readonly #maxSites: number
  /** Only sites at which something has failed. The one that failed longest ago comes first. */
  readonly #sites = new Map<string, Site>()
  #reports = 0

  constructor({ benchMs, maxSites = 10_000 }: SiteBenchesOptions, clock: Clock) {
    this.#benchMs = benchMs
    this.#maxSites = maxSites
    this.#clock = clock
  }

  /** Whether this source is benched by this report. */
  report(id: string, site: string, outcome: SourceOutcome): boolean {
    this.#reports += 1
    if (outcome === 'connected' && this.#sites.size > 0) this.#connected(id, site)
    return outcome === 'target_failed' || outcome === 'refused_by_site' ? this.#failed(id, site, outcome) : false
  }

  isBenched(id: string, site: string): boolean {
    return this.#sites.size > 0 && this.backInMs(id, site) > 0
  }

  /** How long the source is still benched at the site; 0 when it is not. */
  backInMs(id: string, site: string): number {
    const untilMs = this.#sites.get(site)?.benchedUntilMs.get(id)
    return untilMs === undefined ? 0 : Math.max(0, untilMs - this.#clock.nowMs())
  }

  /** Holds a bench for so long from now. Whether it is a new one. */
  hold({ id, site, remainingMs }: SiteBench): boolean {
    if (this.#benchMs === 0) return false
    const isNew = !this.isBenched(id, site)
    const { benchedUntilMs, streaks } = this.#touched(site)
    benchedUntilMs.set(id, this.#clock.nowMs() + remainingMs)
    streaks.delete(id)
    return isNew && remainingMs > 0
  }

  /** The benches that still run. */
  running(): readonly SiteBench[] {
    return [...this.#sites].flatMap(([site, { benchedUntilMs }]) =>
      [...benchedUntilMs.keys()]
        .map((id) => ({ id, site, remainingMs: this.backInMs(id, site) }))
        .filter(({ remainingMs }) => remainingMs > 0),
    )
  }

  #connected(id: string, name: string): void {
    const site = this.#sites.get(name)
    if (site === undefined) return
    const streak = site.streaks.get(id)
    if (streak?.isRefused === true && !streak.unproven.some((connection) => this.#isProven(connection))) {
      appendAtMost(maxUnproven, streak.unproven, { at: this.#reports, madeMs: this.#clock.nowMs() })
      return
    }
    site.streaks.delete(id)
    site.reachedAt.delete(id)
    site.reachedAt.set(id, this.#reports)
    forgetOldest(site.reachedAt, maxReached)
    this.#forgetIfOver(name, site)
  }

  #failed(id: string, name: string, outcome: 'target_failed' | 'refused_by_site'): boolean {
    if (this.#benchMs === 0 || this.isBenched(id, name)) return false
    const site = this.#touched(name)
    const streak = this.#streakOf(id, site)
    appendAtMost(failuresToBench, streak.failedAt, this.#reports)
    if (outcome === 'refused_by_site') {
      streak.isRefused = true
      streak.unproven.shift()
      site.reachedAt.delete(id)
    }
    if (streak.failedAt.length < failuresToBench || !this.#wasReachedSince(streak.failedAt[0] ?? 0, site)) return false
    return this.hold({ id, site: name, remainingMs: this.#benchMs })
  }

  #streakOf(id: string, { streaks, reachedAt }: Site): Streak {
    const known = streaks.get(id)
    const reached = known?.unproven.findLast((connection) => this.#isProven(connection))
    if (known !== undefined && reached === undefined) return known
    if (reached !== undefined) reachedAt.set(id, reached.at)
    const streak: Streak = { failedAt: [], unproven: [], isRefused: false }
    streaks.delete(id)
    streaks.set(id, streak)
    forgetOldest(streaks, maxStreaks)
    return streak
  }

  #wasReachedSince(report: number, { reachedAt, streaks }: Site): boolean {
    for (const at of reachedAt.values()) if (at > report) return true
    for (const { unproven } of streaks.values()) {
      if (unproven.some((connection) => connection.at > report && this.#isProven(connection))) return true
    }
    return false
  }

  /** Whether it is too old to be refused. */
  #isProven({ madeMs }: Connection): boolean {
    return this.#clock.nowMs() - madeMs >= refusedWithinMs
  }

  #touched(name: string): Site {
    const site = this.#sites.get(name) ?? { streaks: new Map(), reachedAt: new Map(), benchedUntilMs: new Map() }
    this.#sites.delete(name)
    this.#sites.set(name, site)
    forgetOldest(this.#sites, this.#maxSites)
    return site
  }

  #forgetIfOver(name: string, { streaks, benchedUntilMs }: Site): void {
    for (const id of benchedUntilMs.keys()) if (!this.isBenched(id, name)) benchedUntilMs.delete(id)
    if (streaks.size === 0 && benchedUntilMs.size === 0) this.#sites.delete(name)
  }
}

function appendAtMost<T>(most: number, list: T[], item: T): void {
  list.push(item)
  if (list.length > most) list.shift()
}
