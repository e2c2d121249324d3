import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { BreakerBoards } from './breaker-board.ts'
import { type BreakerSettings, type BreakerState, FleetBreaker } from './fleet-breaker.ts'

export interface ProductBreaker {
  /** Opens when upstream fails. */
  readonly breaker: FleetBreaker
  /** Opens when upstream limits whoever asks from this source, with whichever key. */
  readonly source: FleetBreaker
}

interface ProductBreakersEvents {
  change: [product: string, state: BreakerState]
}

const badness = { closed: 0, 'half-open': 1, open: 2 } as const satisfies Record<BreakerState, number>

/** A breaker for each product that has been asked for; products are a closed set. */
export class ProductBreakers extends EventEmitter<ProductBreakersEvents> {
  readonly #settings: BreakerSettings
  readonly #boards: BreakerBoards
  readonly #clock: Clock | undefined
  readonly #byProduct = new Map<string, ProductBreaker>()

  constructor(settings: BreakerSettings, boards: BreakerBoards, clock?: Clock) {
    super()
    this.#settings = settings
    this.#boards = boards
    this.#clock = clock
  }

  of(product: string): ProductBreaker {
    const known = this.#byProduct.get(product)
    if (known) return known
    const made = {
      breaker: new FleetBreaker(this.#settings, this.#boards.of(product), this.#clock),
      source: new FleetBreaker(this.#settings, this.#boards.of(`${product}/source`), this.#clock),
    }
    for (const one of [made.breaker, made.source]) one.on('change', (state) => this.emit('change', product, state))
    this.#byProduct.set(product, made)
    return made
  }

  /** The state of each product, the worse of its two. */
  states(): (readonly [product: string, BreakerState])[] {
    return [...this.#byProduct].map(([product, { breaker, source }]) => [
      product,
      badness[source.state] > badness[breaker.state] ? source.state : breaker.state,
    ])
  }

  /** The worst of all, but for some. */
  worst(isLeftOut: (product: string) => boolean = () => false): BreakerState {
    const states = this.states().filter(([product]) => !isLeftOut(product))
    return states.reduce<BreakerState>(
      (worst, [, state]) => (badness[state] > badness[worst] ? state : worst),
      'closed',
    )
  }
}
