import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { Failure, Outcome } from '@ipfleet/cache/outcome.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import type { LoadOptions, Upstream } from './upstream.ts'

export interface FallbackUpstreamDeps {
  readonly first: Upstream
  readonly second: Upstream
  /** Whether the second provider has answers of this kind. */
  readonly offers: (request: UpstreamRequest) => boolean
  /** FALLBACK_TTL_SECONDS. */
  readonly freshForMs: number
  readonly clock?: Clock
}

/** Of the time for a request; the rest is the second provider's when the first has not answered by then. */
const firstShare = 0.6

/** The first provider, and the second while the first has no key left or is down. */
export class FallbackUpstream implements Upstream {
  readonly #deps: FallbackUpstreamDeps
  readonly #clock: Clock

  constructor(deps: FallbackUpstreamDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? monotonicClock
  }

  prefersPartial(request: UpstreamRequest): boolean {
    return this.#deps.first.prefersPartial?.(request) ?? false
  }

  async load(request: UpstreamRequest, deadlineMs: number, options?: LoadOptions): Promise<Outcome> {
    const outcome = await this.#deps.first.load(request, this.firstDeadlineMs(request, deadlineMs, options), options)
    if (outcome.kind === 'answer' || !isDown(outcome)) return outcome
    return this.standIn(outcome, request, deadlineMs, options)
  }

  /** Until when the first provider is asked: the second needs time, too, where it may answer. Monotonic, as `deadlineMs`. */
  firstDeadlineMs(request: UpstreamRequest, deadlineMs: number, options?: LoadOptions): number {
    const nowMs = this.#clock.nowMs()
    return this.#mayStandIn(request, options) ? nowMs + (deadlineMs - nowMs) * firstShare : deadlineMs
  }

  /** What the second provider says, or else the first's failure: a client can do something about that. */
  async standIn(
    failure: Failure,
    request: UpstreamRequest,
    deadlineMs: number,
    options?: LoadOptions,
  ): Promise<Outcome> {
    const { second, freshForMs } = this.#deps
    if (!this.#mayStandIn(request, options)) return failure
    const other = await second.load(request, deadlineMs, options)
    if (other.kind === 'failure') return { ...failure, wasAsked: failure.wasAsked ?? other.wasAsked }
    if (other.answer.status >= 400) return { ...failure, wasAsked: true }
    const answer = { ...other.answer, isFallback: true as const }
    return { ...other, answer, freshForMs: Math.min(other.freshForMs, freshForMs) }
  }

  /** A refresh may be left undone: what there is came from the first provider. */
  #mayStandIn(request: UpstreamRequest, options?: LoadOptions): boolean {
    return options?.purpose !== 'refresh' && this.#deps.offers(request)
  }
}

/** No key is left, or upstream is failing. What this load was to leave to others is not asked elsewhere either. */
export function isDown({ code, sparesReserve }: Failure): boolean {
  return sparesReserve !== true && (code === 'keys_exhausted' || code.startsWith('upstream_') || code === 'not_offered')
}
