import type { Policy } from '@ipfleet/rate-limit/policy.ts'
import type { Decision, Spending } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import type { MetricsSnapshot } from '@ipfleet/telemetry/metrics-snapshot.ts'
import type { Answer, Question } from './correspondence.ts'

/**
 * What the primary process and its workers say to each other. A worker that takes the place of another may come from
 * newer files than the primary, so every message names the version of this language: raise it with every change here.
 */
const version = 3

export type FromWorker =
  /** It can hear, and asks for its instructions. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'ready'; readonly host: string; readonly port: number }
  /** It cannot serve and ends. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It was told to stop, has stopped, and ends. */
  | { readonly kind: 'farewell'; readonly snapshot: MetricsSnapshot }
  | Question
  | Answer

export type FromPrimary<Config> =
  | { readonly kind: 'instructions'; readonly instructions: Instructions<Config> }
  /** The connection that comes next is this one in the order of all. */
  | { readonly kind: 'dealt'; readonly ordinal: number }
  | { readonly kind: 'stop' }
  | Question
  | Answer

/** By which a worker serves. */
export interface Instructions<Config> {
  readonly config: Config
  /** How many workers share the port. */
  readonly workers: number
}

/** What workers ask the primary. */
export type AskedOfPrimary = {
  readonly metrics: { readonly ask: ExpositionFormat; readonly answer: Exposition }
  readonly spend: { readonly ask: readonly Expense[]; readonly answer: readonly Decision[] }
}

/** What the primary asks workers. */
export type AskedOfWorker = {
  readonly snapshot: { readonly ask: null; readonly answer: MetricsSnapshot }
  /** Answered at once, after all that was sent before it has been taken. */
  readonly echo: { readonly ask: null; readonly answer: true }
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
  farewell: true,
  instructions: true,
  dealt: true,
  stop: true,
  question: true,
  answer: true,
}

/** A message as it travels. */
export function sealed(message: Message): { readonly ipfleet: number; readonly message: Message } {
  return { ipfleet: version, message }
}

export type Opened<M extends Message> =
  | { readonly kind: 'message'; readonly message: M }
  /** Of another version. */
  | { readonly kind: 'foreign' }
  /** Not of this language: Node's own, or somebody else's. */
  | { readonly kind: 'other' }

/** Reads what has arrived. Of the same version only the outside is looked at: both ends run the same code. */
export function opened<M extends Message>(received: unknown): Opened<M> {
  if (typeof received !== 'object' || received === null || !('ipfleet' in received)) return { kind: 'other' }
  if (received.ipfleet !== version || !('message' in received)) return { kind: 'foreign' }
  return isMessage(received.message) ? { kind: 'message', message: received.message as M } : { kind: 'foreign' }
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && 'kind' in value && Object.hasOwn(kinds, String(value.kind))
}
