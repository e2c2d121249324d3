import { EventEmitter } from 'node:events'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'
import { FairSlots } from './fair-slots.ts'
import { type BreakerSettings, type BreakerState, type CallResult, FleetBreaker, passed } from './fleet-breaker.ts'
import type { Product } from './product.ts'
import type { SharedBreakerStates } from './shared-breaker-state.ts'

interface Failed {
  readonly kind: 'failure'
  readonly code: ErrorCode
  readonly retryAfterSeconds?: number
}

export interface UpstreamGateOptions {
  readonly breaker: BreakerSettings
  readonly shared: SharedBreakerStates
  /** Maximum of calls at a time. */
  readonly concurrency: number
  /** Whether calls cannot be coordinated with other replicas now; then a quarter of the concurrency is used. */
  readonly isAlone: () => boolean
  readonly clock?: Clock
}

/** What a call learnt about the source while all keys were refused alike. */
export interface SourceWatch {
  /** Whether this call shows for the fleet if the source is well again. */
  readonly isProbe: boolean
  /** All keys are refused alike: the product is left alone for so long, and then probed by one request. */
  limited(forMs: number): void
}

export interface CallOptions {
  /** Whose turn it is while calls wait for a slot. */
  readonly client?: string | undefined
  /** Monotonic. Default: none. */
  readonly deadlineMs?: number
}

interface ProductBreakers {
  /** Opens when upstream fails. */
  readonly health: FleetBreaker
  /** Opens when upstream limits this source, with whichever key it asks. */
  readonly source: FleetBreaker
}

const queuedPerSlot = 8
const badness = { closed: 0, 'half-open': 1, open: 2 } as const satisfies Record<BreakerState, number>

/**
 * What keeps this replica from overrunning a failing upstream: a cap on concurrent calls, for which clients take turns,
 * and for each product a circuit breaker and a pause of the source, so that trouble with a tool or module stops nothing
 * else.
 */
export class UpstreamGate extends EventEmitter<{ change: [product: string, state: BreakerState] }> {
  readonly #options: UpstreamGateOptions
  readonly #clock: Clock
  readonly #wide: FairSlots
  readonly #narrow: FairSlots
  readonly #breakers = new Map<string, ProductBreakers>()
  readonly #tools = new Set<string>()

  constructor(options: UpstreamGateOptions) {
    super()
    const { concurrency, clock = monotonicClock } = options
    this.#options = options
    this.#clock = clock
    const maxQueued = concurrency * queuedPerSlot
    this.#wide = new FairSlots({ slots: concurrency, maxQueued })
    this.#narrow = new FairSlots({ slots: Math.max(1, Math.floor(concurrency / 4)), maxQueued })
  }

  /** The worst state of any product that look-ups are of: the troubles of tools are theirs alone. */
  get state(): BreakerState {
    return worst(this.states().flatMap(([product, state]) => (this.#tools.has(product) ? [] : [state])))
  }

  /** The state of each product that was asked for, the worse of its two. */
  states(): (readonly [product: string, BreakerState])[] {
    return [...this.#breakers].map(([product, { health, source }]) => [product, worst([health.state, source.state])])
  }

  /** Why look-ups are not asked now: upstream fails, or it limits this source with whichever key. */
  get openCause(): 'failing' | 'limited' | undefined {
    const open = [...this.#breakers].filter(([product]) => !this.#tools.has(product)).map(([, breakers]) => breakers)
    if (open.some(({ health }) => health.state === 'open')) return 'failing'
    return open.some(({ source }) => source.state === 'open') ? 'limited' : undefined
  }

  /**
   * Runs a call and watches how it ends; refuses it, as a failure with Retry-After, while upstream is given a pause, or
   * while too many calls wait, in all or of this client.
   */
  async run<T extends { kind: string }>(
    { name, kind }: Product,
    call: (source: SourceWatch) => Promise<T>,
    { client = '', deadlineMs = Infinity }: CallOptions = {},
  ): Promise<T | Failed> {
    if (kind === 'tool') this.#tools.add(name)
    const slots = this.#options.isAlone() ? this.#narrow : this.#wide
    const outcome = await slots.run(client, () => this.#unlessOpen(name, call, deadlineMs))
    return outcome ?? { kind: 'failure', code: 'overloaded', retryAfterSeconds: 1 }
  }

  async #unlessOpen<T extends { kind: string }>(
    product: string,
    call: (source: SourceWatch) => Promise<T>,
    deadlineMs: number,
  ): Promise<T | Failed> {
    const { health, source } = this.#breakersOf(product)
    const admission = health.state === 'closed' ? passed : await health.admit()
    if (admission.kind === 'refused') return refused('upstream_paused', admission.retryAfterMs)
    const ofSource = source.state === 'closed' ? passed : await source.admitAfterProbe(deadlineMs)
    if (ofSource.kind === 'refused') {
      await health.report(admission, 'unknown', 0)
      return refused('keys_exhausted', ofSource.retryAfterMs)
    }
    const startedMs = this.#clock.nowMs()
    let result: CallResult = 'unknown'
    let limitedForMs: number | undefined
    try {
      // All its time went by waiting here, which says nothing about upstream.
      if (startedMs >= deadlineMs) return { kind: 'failure', code: 'upstream_timeout' }
      const outcome = await call({ isProbe: ofSource.isProbe, limited: (forMs) => (limitedForMs = forMs) })
      result = resultOf(outcome)
      return outcome
    } finally {
      await health.report(admission, result, this.#clock.nowMs() - startedMs)
      if (limitedForMs !== undefined) await source.pause(limitedForMs)
      else if (ofSource.isProbe) await source.report(ofSource, result === 'ok' ? 'ok' : 'unknown', 0)
    }
  }

  #breakersOf(product: string): ProductBreakers {
    const known = this.#breakers.get(product)
    if (known) return known
    const { breaker, shared, clock } = this.#options
    const health = new FleetBreaker(breaker, shared.of(product), clock)
    const source = new FleetBreaker(breaker, shared.of(`${product}/source`), clock)
    for (const one of [health, source]) one.on('change', (state) => this.emit('change', product, state))
    this.#breakers.set(product, { health, source })
    return { health, source }
  }
}

function worst(states: readonly BreakerState[]): BreakerState {
  return states.reduce((one, other) => (badness[other] > badness[one] ? other : one), 'closed')
}

function refused(code: ErrorCode, retryAfterMs: number): Failed {
  return { kind: 'failure', code, retryAfterSeconds: wholeSeconds(retryAfterMs) }
}

/** Keys that are over their limit say nothing about upstream's health. */
function resultOf(outcome: { readonly kind: string; readonly code?: unknown }): CallResult {
  if (outcome.kind !== 'failure') return 'ok'
  if (outcome.code === 'upstream_paused') return 'unknown'
  return typeof outcome.code === 'string' && outcome.code.startsWith('upstream_') ? 'failed' : 'unknown'
}
