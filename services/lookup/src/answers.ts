import type { Answer } from '@ipfleet/cache/entry.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import { type Question, textFields } from './question.ts'
import { isReserved } from './reserved-addresses.ts'

/** Answers that are made here, in IPinfo's form: two-space JSON, or one line of text for a field. */

export function jsonAnswer(value: object): Answer {
  return answer(200, 'application/json; charset=utf-8', `${JSON.stringify(value, null, 2)}\n`)
}

function fieldAnswer(value: string): Answer {
  return answer(200, 'text/plain; charset=utf-8', `${value}\n`)
}

function answer(status: number, contentType: string, body: string): Answer {
  return { status, contentType, body: Buffer.from(body) }
}

/** A reserved address needs no one's opinion. Undefined for any other question. */
export function reservedAnswer({ address, field }: Question): Answer | undefined {
  if (address === undefined || !isReserved(address)) return undefined
  if (field === undefined || !textFields.has(field)) return jsonAnswer({ ip: address, bogon: true })
  return fieldAnswer(field === 'ip' ? address : '')
}

/** What the embedded database knows, or undefined when the question is about something else. */
export function offlineAnswer(db: OfflineDb, { address, field }: Question): Answer | undefined {
  const record = address === undefined ? undefined : db.lookup(address)
  if (!record) return undefined
  if (field === undefined) return jsonAnswer(record)
  const value = new Map<string, unknown>(Object.entries(record)).get(field)
  return typeof value === 'string' ? fieldAnswer(value) : undefined
}
