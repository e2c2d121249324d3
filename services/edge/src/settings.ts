import { choice, cidrList, milliseconds, secret } from '@ipfleet/settings/kinds.ts'
import { logSettings } from '@ipfleet/settings/log-settings.ts'
import { redisRules, redisSettings, redisUrl } from '@ipfleet/redis/redis-settings.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import { grouped, type SettingsOf } from '@ipfleet/settings/setting.ts'
import { traceSettings } from '@ipfleet/telemetry/tracing/trace-settings.ts'

/** What the process is, by the name of its environment variable; what it does stands in the TOML file. */
export const settingsSchema = {
  REDIS_URL: redisUrl({
    optional: true,
    help: 'Where all edges count the requests of a client together. Unset: each counts by itself',
  }),
  ...redisSettings(),
  ...grouped('Server', {
    TRUST_PROXY: cidrList({ optional: true, help: 'Proxies in front of the edge, whose X-Forwarded-For is believed' }),
    ADMIN_TOKEN: secret({
      optional: true,
      help: 'That of the replicas. [console] of the file is not opened without it',
    }),
    DRAIN_MS: milliseconds({
      default: 2000,
      help: 'On SIGTERM: how long the probe endpoint fails before connections are closed. Longer than the check interval of what is in front',
    }),
    FAST_LANE: choice(['on', 'off'], {
      default: 'on',
      help: 'Plain GET and HEAD without TLS are read and answered without node:http, for less CPU time; off has node:http read every request',
    }),
  }),
  ...logSettings,
  ...traceSettings,
}

export type EdgeSettings = SettingsOf<typeof settingsSchema>

/** What answers may still take when nothing new is accepted. */
export const finishWithinMs = 30_000

/** How long an edge takes to stop at the most, whatever its clients do. */
export function stopWithinMs({ DRAIN_MS: drainMs }: EdgeSettings): number {
  return drainMs + finishWithinMs + 5000
}

export const settingsRules: readonly Rule<EdgeSettings>[] = redisRules('REDIS')
