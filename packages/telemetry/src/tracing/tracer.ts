import type { Span, SpanAttributes, SpanKind } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'

export interface SpanStart {
  readonly name: string
  readonly kind: SpanKind
  /** The span of another process or time that it continues; undefined: it begins a trace. */
  readonly parent?: TraceContext | undefined
  /** Made only when tracing is on. */
  readonly attributes?: () => SpanAttributes
}

/** Begins the first span that a process adds to a trace; what follows is made by `Span.child` and `inSpan`. */
export interface Tracer {
  /** Undefined while tracing is off. */
  begin(start: SpanStart): Span | undefined
  /** Sends what has ended, for a few seconds at most. Never rejects. */
  close(): Promise<void>
}

export const noTracer: Tracer = {
  begin: () => undefined,
  close: async () => {},
}
