import { runService } from '@ipfleet/http-server/run-service.ts'
import { loadedOrExit } from '@ipfleet/settings/loaded-or-exit.ts'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { attribution } from '@ipfleet/offline/offline-db.ts'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { openTracer } from '@ipfleet/telemetry/tracing/open-tracer.ts'
import { settingsRules, settingsSchema } from './settings.ts'

process.title = 'ipfleet-lookup'

const { settings } = loadedOrExit(settingsSchema, {
  program: 'lookup',
  summary:
    'A replica of the lookup fleet: answers IP lookups like ipinfo.io, from cache, upstream or an embedded database. ' +
    `Its data: ${attribution}`,
  rules: settingsRules,
})
const logger = createLogger({
  level: settings.LOG_LEVEL,
  format: settings.LOG_FORMAT,
  secrets: secretsOf(settingsSchema, settings),
  service: 'lookup',
})

const tracer = await openTracer({ settings, service: 'lookup', logger })

// Loaded when it is to run: `--help` and `--check` do without most of the program.
const { Replica } = await import('./service.ts')
await runService(() => new Replica(settings, logger, tracer), logger)
