import type { Policy } from '@ipfleet/rate-limit/policy.ts'
import type { Decision, Spending } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import type { MetricsSnapshot } from '@ipfleet/telemetry/metrics-snapshot.ts'
import type { RpcResponse, RpcRequest } from './rpc.ts'

/**
 * What the primary process and its workers say to each other. A worker that takes the place of another may come from
 * newer files than the primary, so every message names the version of this language: raise it with every change here.
 */
const version = 4

export type FromWorker =
  /** It can hear, and asks for its instructions. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'ready'; readonly host: string; readonly port: number }
  /** It cannot serve and ends. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It was told to stop, has stopped, and ends. */
  | { readonly kind: 'final-snapshot'; readonly snapshot: MetricsSnapshot }
  | RpcRequest
  | RpcResponse

export type FromPrimary<Config> =
  | { readonly kind: 'instructions'; readonly instructions: Instructions<Config> }
  /** The connection that comes next is this one in the order of all. */
  | { readonly kind: 'assigned'; readonly ordinal: number }
  | { readonly kind: 'stop' }
  | RpcRequest
  | RpcResponse

/** By which a worker serves. */
export interface Instructions<Config> {
  readonly config: Config
  /** How many workers share the port. */
  readonly workers: number
}

/** What workers ask the primary. */
export type PrimaryMethods = {
  readonly metrics: { readonly params: ExpositionFormat; readonly result: Exposition }
  readonly spend: { readonly params: readonly Expense[]; readonly result: readonly Decision[] }
}

/** What the primary asks workers. */
export type WorkerMethods = {
  readonly snapshot: { readonly params: null; readonly result: MetricsSnapshot }
  /** Answered at once, after all that was sent before it has been taken. */
  readonly echo: { readonly params: null; readonly result: true }
}

/** What one request takes from its client's budget. */
export interface Expense {
  readonly subject: string
  readonly policy: Policy
  readonly spending: Spending
}

type Message = FromWorker | FromPrimary<unknown>

const kinds: Readonly<Record<Message['kind'], true>> = {
  hello: true,
  ready: true,
  failed: true,
  'final-snapshot': true,
  instructions: true,
  assigned: true,
  stop: true,
  request: true,
  response: true,
}

/** A message as it travels. */
export function encoded(message: Message): { readonly ipfleet: number; readonly message: Message } {
  return { ipfleet: version, message }
}

export type Decoded<M extends Message> =
  | { readonly kind: 'message'; readonly message: M }
  /** Of another version. */
  | { readonly kind: 'incompatible' }
  /** Not of this language: Node's own, or another library's. */
  | { readonly kind: 'other' }

/** Reads what has arrived. Of the same version only the outside is looked at: both ends run the same code. */
export function decoded<M extends Message>(received: unknown): Decoded<M> {
  if (typeof received !== 'object' || received === null || !('ipfleet' in received)) return { kind: 'other' }
  if (received.ipfleet !== version || !('message' in received)) return { kind: 'incompatible' }
  return isMessage(received.message) ? { kind: 'message', message: received.message as M } : { kind: 'incompatible' }
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && 'kind' in value && Object.hasOwn(kinds, String(value.kind))
}
