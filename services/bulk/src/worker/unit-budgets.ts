import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'

/** Nobody is asked earlier again, and nothing waits for a month without a look. */
const maxWaitMs = 60_000

/** What jobs may still ask upstream for their clients: the `units` of CLIENT_TOKENS. */
export class UnitBudgets {
  readonly #guard: ClientGuard | undefined

  constructor(guard: ClientGuard | undefined) {
    this.#guard = guard
  }

  /** How long work for the owner has to wait; 0: not at all. */
  async waitMs(owner: string): Promise<number> {
    const decision = await this.#guard?.unitsOf(owner)
    return decision?.kind === 'limited' ? Math.min(maxWaitMs, Math.max(1000, decision.retryAfterMs)) : 0
  }

  charge(owner: string, units: number): void {
    if (units > 0) this.#guard?.chargeUnits(owner, units)
  }
}
