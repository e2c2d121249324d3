import { pino } from 'pino'
import type { Logger as PinoLogger } from 'pino'
import { currentRequest } from '@ipfleet/http-server/request-id.ts'
import { LogSink } from './log-sink.ts'
import type { LogDestination } from './standard-output.ts'
import { logTime } from './log-time.ts'

export interface LoggerOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  readonly format: 'text' | 'json'
  /** Values that must never be seen in the log: keys, tokens, passwords in URLs. */
  readonly secrets: readonly string[]
  /** Which program this is. JSON lines say it, with version and host, since those of several services come together. */
  readonly service?: string
  /** Default: the standard output. */
  readonly destination?: LogDestination
  /** Default: whether the standard output is a terminal with colours (NO_COLOR counts). */
  readonly colour?: boolean
}

/** A pino logger with the way out that all of the process's lines share. */
export type Logger = PinoLogger & { readonly sink: LogSink }

/**
 * The process's log: JSON lines `{"level":"info","time":"2026-05-02T15:43:50.358Z",…,"msg":"…"}`, or the same as text.
 * A line that is written on behalf of a request has its id, and that of its trace.
 * Children made with `child()` share its sink, so every secret is scrubbed from their lines as well.
 */
export function createLogger(options: LoggerOptions): Logger {
  const sink = new LogSink(options)
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${logTime()}"${sink.identity}`,
      mixin: () => ({ id: currentRequest()?.id, trace_id: currentRequest()?.trace?.traceId }),
      formatters: { level: (level) => ({ level }) },
    },
    sink,
  )
  return Object.assign(logger, { sink })
}
