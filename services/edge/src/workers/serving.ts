import type { PromptRateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { scrapedGauge } from '@ipfleet/telemetry/scraped-metrics.ts'

/** What a serving process shares with others: nothing when alone, otherwise the port, with a primary and its workers. */
export interface ServingDeps {
  /** What this process counts. */
  readonly metrics: Metrics
  /**
   * What all processes have counted, as text.
   * @throws Error when the primary process does not answer; what this process knows alone would be a counter
   * that goes back
   */
  render(format: ExpositionFormat): Promise<Exposition>
  /** A limiter without Redis that counts for all processes together. All limiters made here share their subjects. */
  limiter(options?: SharedLimiterOptions): PromptRateLimiter
  /**
   * Calls `listener` before each connection with its number among those of all processes, so that they can take turns
   * together. A process that is alone is not told.
   */
  onAssigned(listener: (ordinal: number) => void): void
  /** Processes that share the port, this one included. */
  readonly workers: number
}

export interface SharedLimiterOptions {
  /**
   * The part of what a client has left that this process may let through before it asks: 0 (default) asks for each
   * request, so that the limit is exact.
   */
  readonly allowance?: number
}

export interface Serving<Config> {
  /** Where it listens. */
  readonly host: string
  readonly port: number
  /** Takes over another configuration without dropping a request. What it throws is logged, and the old one stays. */
  reconfigure(config: Config): void | Promise<void>
  /** Finishes what is in flight and closes everything. */
  stop(): Promise<void>
}

/** Makes a process serve. What it throws is the reason, in plain words, why it cannot. */
export type StartServing<Config> = (config: Config, servingDeps: ServingDeps) => Promise<Serving<Config>>

/** Reads the configuration again; `text` says in plain words what is wrong with it. */
export type Reload<Config> = () => Reloaded<Config> | Promise<Reloaded<Config>>

export type Reloaded<Config> =
  | { readonly kind: 'config'; readonly config: Config }
  | { readonly kind: 'faults'; readonly text: string }

/** `count`: the workers that serve now. */
export function registerWorkerCount(metrics: Metrics, count: () => number): void {
  scrapedGauge(metrics, 'ipfleet_edge_workers', 'Processes that serve.', count)
}
