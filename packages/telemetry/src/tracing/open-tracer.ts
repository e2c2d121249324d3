import type { Logger } from '../logger.ts'
import { tracesUrlOf, type TraceSettings } from './trace-settings.ts'
import { noTracer, type Tracer } from './tracer.ts'

export interface TracerOptions {
  readonly settings: TraceSettings
  /** Which program this is: `lookup`. */
  readonly service: string
  /** Is told when traces cannot be sent. Secrets that its sink knows are struck out of spans too. */
  readonly logger: Logger
}

/** OpenTelemetry's SDK, which is only loaded when settings ask for traces. */
export async function openTracer(options: TracerOptions): Promise<Tracer> {
  const url = tracesUrlOf(options.settings)
  if (url === undefined) return noTracer
  const { OtelTracer } = await import('./otel-tracer.ts')
  return new OtelTracer(url, options)
}
