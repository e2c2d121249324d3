import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Span } from '@ipfleet/core/span.ts'
import type { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { ProxiedClient, RelayDeps } from '@ipfleet/proxy/relay/relay-types.ts'
import type { UpstreamGroup } from '../backends/upstream-group.ts'
import type { HedgeAfter } from '../config/edge-config.ts'
import type { ClientShares } from '../limits/client-shares.ts'
import type { HedgeWatch } from './hedge-watch.ts'
import type { Client } from './request-head.ts'
import type { AttemptsRecord, RetryBudget } from './retries.ts'

/** What all requests of one configuration share. */
export interface ForwardDeps extends RelayDeps {
  readonly budget: RetryBudget
  readonly shares: ClientShares
  /** Of a body, before a backend is asked. */
  readonly bodyBufferBytes: number
  /** Further backends that one request may try. */
  readonly attempts: number
  readonly showBackend: boolean
  /** Requests that wait for an answer. */
  readonly hedges: HedgeWatch
  /** Counts attempts and retries. */
  readonly record: AttemptsRecord
}

/** One request, checked and admitted. */
export interface AdmittedRequest extends ProxiedClient {
  readonly target: string
  readonly from: Client
  readonly subject: string
  readonly group: UpstreamGroup
  readonly hostOf: 'client' | 'backend'
  /** After how long without an answer another backend is asked too; 0: never. */
  readonly hedgeAfterMs: HedgeAfter
  readonly requestId: string
  /** Undefined while tracing is off. */
  readonly span: Span | undefined
  /** Set on every answer, a backend's or our own. */
  readonly answerFields: RawFields
  /** Called once. */
  readonly onEnd: (end: ForwardEnd) => void
}

export interface ForwardEnd {
  /** What the client got; 499 if it left before. */
  readonly status: number
  /** Of an answer of our own. */
  readonly error: ProxyError | undefined
  /** Who answered, or was asked last. */
  readonly backend: string | undefined
  readonly retries: number
  readonly fault: UpstreamFault | undefined
}
