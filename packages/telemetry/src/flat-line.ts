import { jsonString } from './escape-controls.ts'
import type { Logger } from './logger.ts'
import { logTime } from './log-time.ts'
import { levelTag, textLatency, textValue } from './text-line.ts'

/** What a line tells beside its message: in this order, without those that are undefined. Names are plain words. */
export type FlatFields = Readonly<Record<string, string | number | undefined>>

/** Writes a line by hand: the same as pino would, in a quarter of the time, for what is written for every request. */
export function logFlatLine(logger: Logger, level: 'info' | 'warn', message: string, fields: FlatFields): void {
  if ((logger.levels.values[level] ?? Infinity) < logger.levelVal) return
  const { sink } = logger
  const line = sink.text
    ? `${logTime()} ${levelTag(level, sink.colour)} ${message}${textFields(fields, sink.scrub)}\n`
    : `{"level":"${level}","time":"${logTime()}"${sink.identity}${jsonFields(fields, sink.scrub)},"msg":"${message}"}\n`
  sink.writeFinished(line)
}

function jsonFields(fields: FlatFields, scrub: (text: string) => string): string {
  let text = ''
  for (const name in fields) {
    const value = fields[name]
    if (typeof value === 'string') text += `,"${name}":${jsonString(scrub(value))}`
    else if (value !== undefined) text += `,"${name}":${value}`
  }
  return text
}

function textFields(fields: FlatFields, scrub: (text: string) => string): string {
  let text = ''
  for (const name in fields) {
    const value = fields[name]
    if (typeof value === 'string') text += ` ${name}=${textValue(scrub(value))}`
    else if (value !== undefined) text += name === 'latency_us' ? ` ${textLatency(value)}` : ` ${name}=${value}`
  }
  return text
}
