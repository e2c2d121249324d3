import type { BatchClient } from '@ipfleet/fleet-client/batch-client.ts'
import { lookUpAll, type LookUpOptions, type LookUpResult } from '@ipfleet/fleet-client/look-up-all.ts'
import { RetryPolicy } from '@ipfleet/fleet-client/retry-policy.ts'
import type { LookupGate } from './lookup-gate.ts'

export interface FleetLookupsDeps {
  readonly client: Pick<BatchClient, 'ask'>
  readonly gate: Pick<LookupGate, 'pass' | 'pause' | 'batchSize'>
  readonly onRetry: NonNullable<LookUpOptions['onRetry']>
}

/**
 * How often an address is asked for before upstream's error is its result: over half a minute, without the time for which
 * the fleet does not ask upstream.
 */
const maxTries = 8
/** The fleet is asked again after this at the latest: its Retry-After may be a month. */
const maxRetryAfterMs = 60_000

/** Looks addresses up, for as long as it takes. What fails pauses all look-ups of this process. */
export class FleetLookups {
  readonly #deps: FleetLookupsDeps
  readonly #retryPolicy: RetryPolicy

  constructor(deps: FleetLookupsDeps) {
    this.#deps = deps
    const wait = async (ms: number): Promise<void> => deps.gate.pause('fleet', ms)
    this.#retryPolicy = new RetryPolicy({ maxFailures: Infinity, maxRetryAfterMs, wait })
  }

  /** @param onUnits called with what each batch has cost upstream. @throws the signal's reason when it aborts */
  lookUp(addresses: readonly string[], signal: AbortSignal, onUnits: (units: number) => void): Promise<LookUpResult> {
    const { client, gate, onRetry } = this.#deps
    return lookUpAll(addresses, {
      ask: (batch) => gate.pass(batch.length, signal, () => client.ask(batch, signal)),
      batchSize: () => gate.batchSize,
      maxTries,
      retryPolicy: this.#retryPolicy,
      onUnits,
      onRetry,
      signal,
    })
  }
}
