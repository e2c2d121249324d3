import { runService } from '@ipfleet/http-server/run-service.ts'
import { logLevelOf } from '@ipfleet/settings/log-settings.ts'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { openTracer } from '@ipfleet/telemetry/tracing/open-tracer.ts'
import { egressOptionsOrExit } from './server/options.ts'
import { settingsSchema } from './settings.ts'

process.title = 'ipfleet-egress'

const options = egressOptionsOrExit()
const { settings } = options
const logger = createLogger({
  level: logLevelOf(settings),
  format: settings.LOG_FORMAT,
  secrets: secretsOf(settingsSchema, settings),
  service: 'egress',
})

const tracer = await openTracer({ settings, service: 'egress', logger })

// Loaded when it is to run: `--help` and `--check` do without most of the program.
const { Egress } = await import('./service.ts')
await runService(() => new Egress(options, logger, tracer), logger)
