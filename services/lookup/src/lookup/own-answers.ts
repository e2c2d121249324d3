import type { Answer } from '@ipfleet/cache/entry.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { Query } from '../query/query.ts'
import { fieldAnswer, jsonAnswer, viewOf } from '../query/record-view.ts'
import { isReserved } from '../query/reserved-addresses.ts'

/** Answers that are made here, byte for byte in IPinfo's form. */

/** A reserved address needs no look-up. Undefined for any other query. */
export function reservedAnswer({ address, within }: Query): Answer | undefined {
  if (address === undefined || !isReserved(address)) return undefined
  const record = jsonAnswer({ ip: address, bogon: true })
  return within ? (viewOf(record, within.view) ?? fieldAnswer('')) : record
}

/** What the embedded database knows, or undefined when the query is about something else. */
export function offlineAnswer(db: OfflineDb, { surface, target, address, within }: Query): Answer | undefined {
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
