import { choice, flag, milliseconds, number, text, textual } from '@ipfleet/settings/kinds.ts'
import { grouped, type SettingsOf } from '@ipfleet/settings/setting.ts'
import { url } from '@ipfleet/settings/url-setting.ts'

const httpUrl = { optional: true, protocols: ['http:', 'https:'], without: ['credentials', 'query'] } as const

/** `name=value` pairs, separated by commas, percent-encoded (W3C Baggage, as OpenTelemetry's specification has them). */
function pairsIn(given: string): ReadonlyMap<string, string> | undefined {
  try {
    const pairs = given.split(',').map((pair): [string, string] => {
      const [, name = '', value = ''] = /^\s*([^\s=]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
      return [decodeURIComponent(name), decodeURIComponent(value)]
    })
    return pairs.some(([name]) => name === '') ? undefined : new Map(pairs)
  } catch {
    return undefined
  }
}

const pairsInWords = 'name=value pairs, separated by commas, percent-encoded'

/** By OpenTelemetry's own names, so that what sets them for other programs sets them here. */
export const traceSettings = grouped('Traces', {
  OTEL_EXPORTER_OTLP_ENDPOINT: url({
    ...httpUrl,
    help: 'Where traces are sent: OTLP over HTTP in JSON, to `/v1/traces` below this URL. Unset: nothing is traced',
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url({
    ...httpUrl,
    help: 'The whole URL for traces, in place of OTEL_EXPORTER_OTLP_ENDPOINT',
  }),
  OTEL_EXPORTER_OTLP_HEADERS: {
    ...textual({
      optional: true,
      read: pairsIn,
      allowed: pairsInWords,
      help: 'Fields of those requests, for a collector that wants a token: `authorization=Bearer%20TOKEN`',
    }),
    secret: true,
    fromFile: true,
    secretsIn: (pairs: ReadonlyMap<string, string> | undefined) => [...(pairs?.values() ?? [])],
  },
  OTEL_TRACES_EXPORTER: choice(['otlp', 'none'], {
    optional: true,
    help: 'none: nothing is traced; otlp without an endpoint: to http://localhost:4318',
  }),
  OTEL_SDK_DISABLED: flag({ default: false, help: 'true: nothing is traced' }),
  OTEL_TRACES_SAMPLER: choice(
    [
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
      'always_on',
      'always_off',
      'traceidratio',
    ],
    {
      default: 'parentbased_always_on',
      help: 'Which requests are traced. parentbased_*: as the traceparent of the request says, the rest only where it has none',
    },
  ),
  OTEL_TRACES_SAMPLER_ARG: number({
    min: 0,
    max: 1,
    default: 1,
    help: 'The share that a sampler with traceidratio takes, from 0 to 1',
  }),
  OTEL_BSP_SCHEDULE_DELAY: milliseconds({ min: 1, default: 5000, help: 'How often spans are sent' }),
  OTEL_SERVICE_NAME: text({ optional: true, help: 'Unset: ipfleet-lookup, ipfleet-edge, …' }),
  OTEL_RESOURCE_ATTRIBUTES: textual({
    optional: true,
    read: pairsIn,
    allowed: pairsInWords,
    help: 'What all spans of this process say: deployment.environment.name=production',
  }),
})

export type TraceSettings = SettingsOf<typeof traceSettings>

/** @returns where traces go; undefined: tracing is off */
export function tracesUrlOf(settings: TraceSettings): string | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole } = settings
  if (settings.OTEL_SDK_DISABLED || settings.OTEL_TRACES_EXPORTER === 'none') return undefined
  const isAsked = settings.OTEL_TRACES_EXPORTER === 'otlp'
  return whole ?? (base === undefined && !isAsked ? undefined : `${base ?? 'http://localhost:4318'}/v1/traces`)
}
