import type { Answer } from '@ipfleet/cache/entry.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { Question } from './question.ts'
import { fieldAnswer, jsonAnswer, viewOf } from './record-view.ts'
import { isReserved } from './reserved-addresses.ts'

/** Answers that are made here, byte for byte in IPinfo's form. */

/** A reserved address needs no one's opinion. Undefined for any other question. */
export function reservedAnswer({ address, within }: Question): Answer | undefined {
  if (address === undefined || !isReserved(address)) return undefined
  const record = jsonAnswer({ ip: address, bogon: true })
  return within ? (viewOf(record, within.view) ?? fieldAnswer('')) : record
}

/** What the embedded database knows, or undefined when the question is about something else. */
export function offlineAnswer(db: OfflineDb, { surface, target, address, within }: Question): Answer | undefined {
  if (within) {
    const record = offlineAnswer(db, within.record)
    // The embedded records lack most fields, so that a missing one is not known to be empty.
    return (
      record && viewOf(record, within.view.kind === 'field' ? { ...within.view, absentIsEmpty: false } : within.view)
    )
  }
  if (address === undefined) return undefined
  const isWhole = surface === 'legacy' ? target === `/${address}` : target === `/lite/${address}`
  const record = surface === 'legacy' ? db.lookup(address) : db.liteRecord(address)
  return isWhole && record ? jsonAnswer(record) : undefined
}
