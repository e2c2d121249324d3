import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { errorType } from '@ipfleet/core/span.ts'
import type { Logger } from '../logger.ts'

type OnExported = Parameters<SpanExporter['export']>[1]

/** Says once that spans cannot be sent, and once that they can be again. They are lost meanwhile; requests go on. */
export class TellingExporter implements SpanExporter {
  readonly #exporter: OTLPTraceExporter
  readonly #logger: Logger
  #lost = 0

  constructor(exporter: OTLPTraceExporter, logger: Logger) {
    this.#exporter = exporter
    this.#logger = logger
  }

  export(spans: ReadableSpan[], onExported: OnExported): void {
    this.#exporter.export(spans, (result) => {
      // The error holds what the collector has answered, which may be anything.
      if (result.error) this.#failed(spans.length, errorType(result.error))
      else this.#succeeded()
      onExported(result)
    })
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown()
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush()
  }

  #failed(spans: number, reason: string): void {
    if (this.#lost === 0) this.#logger.warn({ reason }, 'traces cannot be sent: see OTEL_EXPORTER_OTLP_ENDPOINT')
    this.#lost += spans
  }

  #succeeded(): void {
    if (this.#lost > 0) this.#logger.info({ lost: this.#lost }, 'traces are sent again')
    this.#lost = 0
  }
}
