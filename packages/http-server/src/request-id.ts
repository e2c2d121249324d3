import { AsyncLocalStorage } from 'node:async_hooks'
import { randomFillSync } from 'node:crypto'
import { type Span, withSpan } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'

/** The field that names a request on its way through the fleet, in its logs and on its answer. */
export const REQUEST_ID = 'X-Request-Id'

/** What an id may look like that a client gives: short, and nothing that has a meaning to a log or a
 * shell. It goes into the answer, so what base64 needs is left out: most secrets need it too. */
const idForm = /^[\w.:-]{1,64}$/

/** The id that the request brought (the value of X-Request-Id) if it looks like one, else a new one. */
export function requestIdOf(given: string | readonly string[] | undefined): string {
  return typeof given === 'string' && idForm.test(given) ? given : newId()
}

const idBytes = 16
const idLength = 36
const madeAtOnce = 256
const random = Buffer.allocUnsafeSlow(madeAtOnce * idBytes)
const hexDigits = Buffer.from('0123456789abcdef')
const hyphen = 0x2d
/** Bytes with a hyphen behind them. */
const groupEnds = 0b1010101000
let ids = ''
let idAt = 0

/**
 * A UUID of version 4 (RFC 9562 §5.4). `randomUUID` of Node 26 puts each together from twenty strings, which is slower than
 * to write many at once, and leaves a tree of strings to whatever writes the id.
 */
function newId(): string {
  if (idAt === ids.length) {
    ids = manyIds()
    idAt = 0
  }
  idAt += idLength
  return ids.slice(idAt - idLength, idAt)
}

function manyIds(): string {
  randomFillSync(random)
  const text = Buffer.allocUnsafe(madeAtOnce * idLength)
  let at = 0
  for (let index = 0; index < random.length; index += 1) {
    const byte = random[index] ?? 0
    const place = index % idBytes
    const value = place === 6 ? (byte & 0x0f) | 0x40 : place === 8 ? (byte & 0x3f) | 0x80 : byte
    text[at++] = hexDigits[value >> 4] ?? 0
    text[at++] = hexDigits[value & 15] ?? 0
    if ((groupEnds >> place) & 1) text[at++] = hyphen
  }
  return text.toString('latin1')
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
