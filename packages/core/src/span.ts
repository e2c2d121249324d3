import { AsyncLocalStorage } from 'node:async_hooks'
import type { TraceContext } from './trace-context.ts'

/** Named by OpenTelemetry's semantic conventions where they have a name for it. Undefined: not told. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

export type SpanKind = 'internal' | 'server' | 'client' | 'consumer'

/** A step of a trace. There are none while tracing is off. One that is never ended is never told. */
export interface Span {
  readonly context: TraceContext
  child(name: string, kind: SpanKind, attributes?: SpanAttributes): Span
  set(attributes: SpanAttributes): void
  /** Another span, perhaps of another trace, that this one has waited for. */
  link(to: TraceContext): void
  /** With `error.type` among the attributes, it has failed. */
  end(attributes?: SpanAttributes): void
}

const current = new AsyncLocalStorage<Span | undefined>()

/** The span within which the caller runs. */
export function currentSpan(): Span | undefined {
  return current.getStore()
}

/** Runs a function, and what it starts, within a span. Undefined: within none. */
export function withSpan<T>(span: Span | undefined, run: () => T): T {
  return span === currentSpan() ? run() : current.run(span, run)
}

export interface Step {
  readonly name: string
  readonly kind?: SpanKind
  /** Made only when there is a span. */
  readonly attributes?: () => SpanAttributes
}

/** Does some work as a step of the current span; without one, just does it. */
export function inSpan<T>(step: Step, work: (span: Span | undefined) => Promise<T>): Promise<T> {
  const parent = currentSpan()
  if (parent === undefined) return work(undefined)
  return ended(parent.child(step.name, step.kind ?? 'internal', step.attributes?.()), work)
}

async function ended<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    const result = await current.run(span, () => work(span))
    span.end()
    return result
  } catch (error) {
    span.end({ 'error.type': errorType(error) })
    throw error
  }
}

/** A class of errors: its literal code, else its name. Never its message. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
