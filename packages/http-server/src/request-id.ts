import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'

/** The field that names a request on its way through the fleet, in its logs and on its answer. */
export const REQUEST_ID = 'X-Request-Id'

/** What an id may look like that a client gives: short, and nothing that has a meaning to a log or a
 * shell. It goes into the answer, so what base64 needs is left out: most secrets need it too. */
const idForm = /^[\w.:-]{1,64}$/

/** The id that the request brought (the value of X-Request-Id) if it looks like one, else a new one. */
export function requestIdOf(given: string | readonly string[] | undefined): string {
  return typeof given === 'string' && idForm.test(given) ? given : randomUUID()
}

interface RequestContext {
  readonly id: string
  /** Whose requests count together: see `addressSubject`. */
  readonly client: string | undefined
}

const current = new AsyncLocalStorage<RequestContext>()

/** Runs a function, and what it starts, under the id (and for the client) of a request. Undefined: under none. */
export function withRequestId<T>(id: string | undefined, run: () => T, client?: string): T {
  return id === undefined ? current.exit(run) : current.run({ id, client }, run)
}

/** The id of the request that the caller works for, if it works for one. */
export function currentRequestId(): string | undefined {
  return current.getStore()?.id
}

/** The client of that request, where the service says it. */
export function currentClient(): string | undefined {
  return current.getStore()?.client
}
