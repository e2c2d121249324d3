import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { until } from './until.ts'

type Value = { readonly stringValue: string } | { readonly intValue: number } | { readonly doubleValue: number }

/** As OTLP 1.x has it in JSON. */
interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes?: readonly { readonly key: string; readonly value: Value }[]
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status?: { readonly code?: number }
}

interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: Pick<OtlpSpan, 'attributes'>
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

export interface ReceivedSpan extends Omit<OtlpSpan, 'attributes' | 'links' | 'kind'> {
  readonly service: string
  /** Of the process. */
  readonly instance: string
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer' | undefined
  readonly attributes: Readonly<Record<string, unknown>>
  /** Ids of spans. */
  readonly links: readonly string[]
  readonly failed: boolean
}

/** A collector that takes traces by OTLP over HTTP, in JSON, and keeps them. */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = []
  /** Of the requests, as they came: what must not be in them can be looked for. */
  readonly bodies: string[] = []
  /** Field `authorization` of the requests. */
  readonly authorizations = new Set<string | undefined>()
  /** What it answers. */
  status = 200
  readonly #server = createServer(async (req, res) => {
    const body = await text(req)
    this.bodies.push(body)
    this.authorizations.add(req.headers.authorization)
    if (this.status === 200 && req.url === '/v1/traces') this.#take(JSON.parse(body) as OtlpRequest)
    res.writeHead(this.status, { 'Content-Type': 'application/json' }).end('{}')
  })

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver()
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The spans of a trace, when `isWhole` says that enough of them have come. */
  async trace(traceId: string, isWhole: (spans: readonly ReceivedSpan[]) => boolean): Promise<readonly ReceivedSpan[]> {
    const spans = (): readonly ReceivedSpan[] => this.spans.filter((span) => span.traceId === traceId)
    await until(() => isWhole(spans()))
    return spans()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #take({ resourceSpans }: OtlpRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const { 'service.name': service, 'service.instance.id': instance } = attributesIn(resource)
      const process = { service: String(service), instance: String(instance) }
      for (const { spans } of scopeSpans) this.spans.push(...spans.map((span) => ({ ...process, ...received(span) })))
    }
  }
}

const kinds = [undefined, 'internal', 'server', 'client', 'producer', 'consumer'] as const

function received(span: OtlpSpan): Omit<ReceivedSpan, 'service' | 'instance'> {
  return {
    ...span,
    kind: kinds[span.kind],
    attributes: attributesIn(span),
    links: (span.links ?? []).map(({ spanId }) => spanId),
    failed: span.status?.code === 2,
  }
}

function attributesIn({ attributes = [] }: Pick<OtlpSpan, 'attributes'>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
