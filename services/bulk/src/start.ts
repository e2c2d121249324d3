import { runService } from '@ipfleet/http-server/run-service.ts'
import { loadedOrExit } from '@ipfleet/settings/loaded-or-exit.ts'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { openTracer } from '@ipfleet/telemetry/tracing/open-tracer.ts'
import { settingsRules, settingsSchema } from './settings.ts'

process.title = 'ipfleet-bulk'

const { settings } = loadedOrExit(settingsSchema, {
  program: 'bulk',
  summary: 'Looks up lists of addresses off the request path: jobs in a queue, results as they come.',
  rules: settingsRules,
})
const logger = createLogger({
  level: settings.LOG_LEVEL,
  format: settings.LOG_FORMAT,
  secrets: secretsOf(settingsSchema, settings),
  service: 'bulk',
})

const tracer = await openTracer({ settings, service: 'bulk', logger })

// Loaded when it is to run: `--help` and `--check` do without most of the program.
const { BulkService } = await import('./service.ts')
await runService(() => new BulkService(settings, logger, tracer), logger)
