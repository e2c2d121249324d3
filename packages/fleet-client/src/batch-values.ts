import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { isRecord } from '@ipfleet/core/json.ts'
import type { LineError } from '@ipfleet/ip-lists/result-line.ts'

/** The answer to one address of a batch. */
export type BatchValue =
  | { readonly kind: 'record'; readonly record: Readonly<Record<string, unknown>> }
  /** Another attempt would not help. */
  | { readonly kind: 'error'; readonly error: LineError }
  /** Upstream failed at this one. */
  | { readonly kind: 'passing'; readonly error: LineError }

const noRecord: LineError = {
  code: 'no_record',
  title: 'No record',
  message: 'Nothing is known of this address',
}

/** A fleet without keys, whose database does not know the address, always answers 503. */
const unknownOffline = codeOf(new ProxyError('no_offline_answer').title)

/** The values of a batch by address; undefined for a body that is no answer. */
export function batchValues(body: unknown): ReadonlyMap<string, BatchValue> | undefined {
  if (!isRecord(body)) return undefined
  return new Map(Object.entries(body).map(([address, value]) => [address, batchValue(value)]))
}

/** What a refusal of the whole batch means for each of its addresses; undefined when it does not say. */
export function valueOfRefusal(status: number, body: unknown): BatchValue | undefined {
  return isRecord(body) && isRecord(body['error']) ? failedValue(status, body['error']) : undefined
}

function batchValue(value: unknown): BatchValue {
  if (!isRecord(value)) return { kind: 'error', error: noRecord }
  const { error, status } = value
  return error === undefined ? { kind: 'record', record: value } : failedValue(status, error)
}

function failedValue(status: unknown, given: unknown): BatchValue {
  const error = lineError(given)
  const isPassing = typeof status === 'number' && (status >= 500 || status === 429) && error.code !== unknownOffline
  return { kind: isPassing ? 'passing' : 'error', error }
}

/** IPinfo's `{"title": …, "message": …}`, or the text of its newer products. */
function lineError(error: unknown): LineError {
  const { message: given, title: name } = isRecord(error) ? error : { message: error }
  const message = textOf(given) ?? 'The address could not be looked up'
  const title = textOf(name) ?? message
  return { code: codeOf(title), title, message }
}

/** For counting. */
function codeOf(title: string): string {
  const code = title.toLowerCase().replaceAll(/[^a-z\d]+/g, '_')
  return code.replaceAll(/^_+|_+$/g, '').slice(0, 40) || 'unknown'
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
