import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Request } from 'express'
import { type InputForm, inputFormOf } from '@ipfleet/ip-lists/input-form.ts'
import { unknownFieldIn } from '@ipfleet/ip-lists/record-fields.ts'
import { firstOf } from './query.ts'

export interface JobRequest {
  readonly form: InputForm
  /** Undefined: all. */
  readonly fields: readonly string[] | undefined
  readonly callback: string | undefined
  readonly idempotencyKey: string | undefined
}

const maxFields = 100

/** @throws ProxyError `bad_request`, `unsupported_media_type`, and what `checkCallback` throws */
export async function jobRequestOf(
  { headers, query }: Request,
  checkCallback: (given: string) => Promise<string> | string,
): Promise<JobRequest> {
  const idempotencyKey = keyIn(headers['idempotency-key'])
  const form = inputFormOf({
    contentType: headers['content-type'],
    format: firstOf(query['format']),
    column: firstOf(query['column']),
  })
  const fields = fieldsIn(firstOf(query['fields']))
  const given = firstOf(query['callback'])
  const callback = given === undefined ? undefined : await checkCallback(given)
  return { form, fields, callback, idempotencyKey }
}

/** What requests under one Idempotency-Key must have in common besides the body. */
export function subjectOf({ form, fields, callback }: JobRequest): string {
  return JSON.stringify([form, fields ?? null, callback ?? null])
}

function fieldsIn(list: string | undefined): readonly string[] | undefined {
  if (list === undefined) return undefined
  const fields = [...new Set(list.split(',').map((name) => name.trim()))].filter((name) => name !== '')
  if (fields.length === 0) return undefined
  const isList = fields.length <= maxFields && fields.every((name) => /^[\w-]{1,64}(?:\.[\w-]{1,64}){0,7}$/.test(name))
  const unknown = isList ? unknownFieldIn(fields) : undefined
  if (unknown !== undefined) throw new ProxyError('bad_request', { message: `fields: ${unknown}` })
  if (isList) return fields
  throw new ProxyError('bad_request', {
    message: `fields is a list of at most ${maxFields} names, such as city,asn.name`,
  })
}

/** draft-ietf-httpapi-idempotency-key-header-07 §2.1 has it in quotes; those who send none mean the same. */
function keyIn(field: string | string[] | undefined): string | undefined {
  if (field === undefined) return undefined
  const text = String(field)
  const key = /^"([^"]*)"$/.exec(text)?.[1] ?? text
  if (/^[\x20-\x7e]{1,255}$/.test(key) && key.trim() !== '') return key
  throw new ProxyError('bad_request', { message: 'An Idempotency-Key has 1 to 255 printable ASCII characters' })
}
