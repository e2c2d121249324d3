import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Span, SpanAttributes, SpanKind } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'
import { within } from '@ipfleet/core/within.ts'
import { version } from '@ipfleet/settings/version.ts'
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span as ApiSpan,
  SpanKind as ApiSpanKind,
  SpanStatusCode,
  trace,
  type Tracer as ApiTracer,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { TracerOptions } from './open-tracer.ts'
import { TellingExporter } from './telling-exporter.ts'
import type { TraceSettings } from './trace-settings.ts'
import type { SpanStart, Tracer } from './tracer.ts'

const kinds: Readonly<Record<SpanKind, ApiSpanKind>> = {
  internal: ApiSpanKind.INTERNAL,
  server: ApiSpanKind.SERVER,
  client: ApiSpanKind.CLIENT,
  consumer: ApiSpanKind.CONSUMER,
}
/** A collector that is away must not keep the process from ending. */
const closeWithinMs = 2000
const spanLimits = { attributeValueLengthLimit: 1024, linkCountLimit: 128 }

/** Spans by OpenTelemetry's SDK: kept in a bounded queue, sent in batches, and dropped where no collector takes them. */
export class OtelTracer implements Tracer {
  readonly #provider: TracerProvider
  readonly #start: StartSpan

  constructor(url: string, { settings, service, logger }: TracerOptions) {
    const exporter = new TellingExporter(
      new OTLPTraceExporter({ url, headers: Object.fromEntries(settings.OTEL_EXPORTER_OTLP_HEADERS ?? []) }),
      logger,
    )
    this.#provider = new TracerProvider({
      sampler: samplerOf(settings),
      spanLimits,
      resource: resourceFromAttributes({
        'service.name': `ipfleet-${service}`,
        'service.version': version,
        'service.instance.id': randomUUID(),
        'host.name': hostname(),
        ...Object.fromEntries(settings.OTEL_RESOURCE_ATTRIBUTES ?? []),
        ...(settings.OTEL_SERVICE_NAME !== undefined && { 'service.name': settings.OTEL_SERVICE_NAME }),
      }),
      spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: settings.OTEL_BSP_SCHEDULE_DELAY })],
    })
    const tracer = this.#provider.getTracer('ipfleet', version)
    this.#start = spansOf(tracer, (text) => logger.sink.scrub(text))
  }

  begin({ name, kind, parent, attributes }: SpanStart): Span {
    const from = parent
      ? trace.setSpanContext(ROOT_CONTEXT, {
          traceId: parent.traceId,
          spanId: parent.spanId,
          traceFlags: parent.flags,
          isRemote: true,
        })
      : ROOT_CONTEXT
    return this.#start(name, kind, attributes?.(), from)
  }

  async close(): Promise<void> {
    await within(
      closeWithinMs,
      this.#provider.shutdown().catch(() => {}),
    )
  }
}

type StartSpan = (name: string, kind: SpanKind, attributes: SpanAttributes | undefined, from: Context) => Span

function spansOf(tracer: ApiTracer, scrub: (text: string) => string): StartSpan {
  const start: StartSpan = (name, kind, attributes, from) => {
    const options = { kind: kinds[kind], attributes: told(attributes, scrub) }
    return new OtelSpan(tracer.startSpan(name, options, from), start, scrub)
  }
  return start
}

class OtelSpan implements Span {
  readonly context: TraceContext
  readonly #span: ApiSpan
  readonly #start: StartSpan
  readonly #scrub: (text: string) => string

  constructor(span: ApiSpan, start: StartSpan, scrub: (text: string) => string) {
    const { traceId, spanId, traceFlags: flags } = span.spanContext()
    this.context = { traceId, spanId, flags }
    this.#span = span
    this.#start = start
    this.#scrub = scrub
  }

  child(name: string, kind: SpanKind, attributes?: SpanAttributes): Span {
    return this.#start(name, kind, attributes, trace.setSpan(ROOT_CONTEXT, this.#span))
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(told(attributes, this.#scrub))
  }

  link({ traceId, spanId, flags }: TraceContext): void {
    this.#span.addLink({ context: { traceId, spanId, traceFlags: flags, isRemote: true } })
  }

  end(attributes?: SpanAttributes): void {
    if (attributes) this.set(attributes)
    if (attributes?.['error.type'] !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR })
    this.#span.end()
  }
}

/** Without what is undefined, and without secrets. */
function told(attributes: SpanAttributes | undefined, scrub: (text: string) => string): Attributes {
  const all: Attributes = {}
  for (const name in attributes) {
    const value = attributes[name]
    if (value !== undefined) all[name] = typeof value === 'string' ? scrub(value) : value
  }
  return all
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: share }: TraceSettings): Sampler {
  const own = rootSamplerOf(name, share)
  return name.startsWith('parentbased') ? new ParentBasedSampler({ root: own }) : own
}

function rootSamplerOf(name: TraceSettings['OTEL_TRACES_SAMPLER'], share: number): Sampler {
  if (name.endsWith('traceidratio')) return new TraceIdRatioBasedSampler(share)
  return name.endsWith('always_off') ? new AlwaysOffSampler() : new AlwaysOnSampler()
}
