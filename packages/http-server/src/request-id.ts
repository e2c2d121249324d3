import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { type Span, withSpan } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'

/** The field that names a request on its way through the fleet, in its logs and on its answer. */
export const REQUEST_ID = 'X-Request-Id'

/** What an id may look like that a client gives: short, and nothing that has a meaning to a log or a
 * shell. It goes into the answer, so what base64 needs is left out: most secrets need it too. */
const idForm = /^[\w.:-]{1,64}$/

/** The id that the request brought (the value of X-Request-Id) if it looks like one, else a new one. */
export function requestIdOf(given: string | readonly string[] | undefined): string {
  return typeof given === 'string' && idForm.test(given) ? given : randomUUID()
}

/** A request for which something is done, on its way through the process. */
export interface RequestScope {
  readonly id: string
  /** The trace that it belongs to, if it belongs to one. */
  readonly trace?: TraceContext | undefined
  /** What is done for it are steps of this span. Undefined while tracing is off. */
  readonly span?: Span | undefined
  /** Whose requests count together: see `addressSubject`. */
  readonly client?: string | undefined
}

const current = new AsyncLocalStorage<RequestScope | undefined>()

/** Runs a function, and what it starts, on behalf of a request. Undefined: of none. */
export function withRequest<T>(scope: RequestScope | undefined, run: () => T): T {
  return current.run(scope, () => withSpan(scope?.span, run))
}

/** The request that the caller works for, if it works for one. */
export function currentRequest(): RequestScope | undefined {
  return current.getStore()
}

/** The client of that request, where the service says it. */
export function currentClient(): string | undefined {
  return current.getStore()?.client
}
