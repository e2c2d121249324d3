import { escapeControls, jsonString } from './escape-controls.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'

/**
 * Lines for a terminal: `2026-05-02T15:43:50.358Z INFO  listening port=8080`, an error's stack indented below.
 *
 * A line may hold what a client or an upstream sent, so control characters are escaped: a line break would forge a
 * line, and an escape sequence would talk to the terminal that shows the log.
 */

const colours: Readonly<Record<string, number>> = { trace: 90, debug: 36, info: 32, warn: 33, error: 31, fatal: 35 }

/** A level at its place in the line, five columns wide. */
export function levelTag(level: string, colour: boolean): string {
  const tag = level.toUpperCase().padEnd(5)
  return colour ? `\u001b[${colours[level] ?? 37}m${tag}\u001b[39m` : tag
}

/** A JSON line of the log as text. What is not a JSON object is passed on, made printable. */
export function textLine(json: string, colour: boolean): string {
  const record = parseJson(json)
  if (!isRecord(record)) return `${escapeControls(json.trimEnd())}\n`
  const { level, time, msg, err, ...fields } = record
  const words = [plainWord(time), levelTag(plainWord(level), colour)]
  if (msg !== undefined) words.push(plainWord(msg))
  for (const [name, value] of Object.entries(fields)) words.push(textField(name, value))
  return `${[...words, ...errorFields(err)].join(' ')}\n${stackLines(err)}`
}

/** A path or another word that came from outside: as it is if it is plain, else quoted and escaped. */
export function textValue(value: string): string {
  return /^[!#-<>-~]+$/.test(value) ? value : jsonString(value)
}

/** Whole microseconds as `latency=10.2ms`. Always in milliseconds, so that lines can be compared at a glance. */
export function textLatency(latencyUs: number): string {
  if (latencyUs < 1000) return `latency=0.${String(latencyUs).padStart(3, '0')}ms`
  const ms = latencyUs / 1000
  return `latency=${ms < 100 ? ms.toPrecision(3) : Math.round(ms)}ms`
}

function textField(name: string, value: unknown): string {
  if (name === 'latency_us' && typeof value === 'number') return textLatency(value)
  if (typeof value === 'string') return `${escapeControls(name)}=${textValue(value)}`
  return `${escapeControls(name)}=${escapeControls(JSON.stringify(value))}`
}

function errorFields(err: unknown): string[] {
  if (!isRecord(err)) return err === undefined ? [] : [textField('err', err)]
  const { type: _type, stack: _stack, message, ...rest } = err
  const fields = Object.entries(rest).map(([name, value]) => textField(`err.${name}`, value))
  return message === undefined ? fields : [textField('err', message), ...fields]
}

function stackLines(err: unknown): string {
  if (!isRecord(err) || typeof err['stack'] !== 'string') return ''
  return err['stack']
    .split('\n')
    .map((line) => `    ${escapeControls(line)}\n`)
    .join('')
}

function plainWord(value: unknown): string {
  return escapeControls(typeof value === 'string' ? value : JSON.stringify(value ?? null))
}
