import type { Answer } from '@ipfleet/cache/entry.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { RecordShape } from '@ipfleet/offline/offline-record.ts'
import type { Query } from '../query/query.ts'
import { fieldAnswer, jsonAnswer, type View, viewOf } from '../query/record-view.ts'
import { isReserved } from '../query/reserved-addresses.ts'

/** Answers that are made here, byte for byte in IPinfo's form. */

/** A reserved address needs no look-up. Undefined for any other query. */
export function reservedAnswer({ address, within }: Query): Answer | undefined {
  if (address === undefined || !isReserved(address)) return undefined
  const record = jsonAnswer({ ip: address, bogon: true })
  return within ? (viewOf(record, within.view) ?? fieldAnswer('')) : record
}

export interface OfflineOptions {
  /** Nothing else answers, so that an address which no database knows is answered with what is known: itself. */
  readonly answersUnknown: boolean
  /** Members of legacy records that are empty texts where they are not known, instead of absent. */
  readonly emptyFields: readonly string[]
}

/** What the embedded database answers. */
export class OfflineAnswers {
  readonly #db: OfflineDb
  readonly #options: OfflineOptions

  constructor(db: OfflineDb, options: OfflineOptions) {
    this.#db = db
    this.#options = options
  }

  /** Undefined where it cannot tell: the query is about something else, or about what no record of it holds. */
  answer({ target, address, within }: Query): Answer | undefined {
    if (address === undefined) return undefined
    const [shape, record] = this.#record(within?.record.target ?? target, address) ?? []
    if (shape === undefined || record === undefined) return undefined
    return within ? this.#part(shape, jsonAnswer(record), within.view) : jsonAnswer(record)
  }

  #record(target: string, address: string): readonly [RecordShape, object] | undefined {
    const shape = shapeOf(target, address)
    if (shape === undefined) return undefined
    const isRecord = records.has(shape)
    const found = this.#db.record(shape, address) ?? (isRecord && this.#options.answersUnknown && { ip: address })
    if (!found) return undefined
    if (shape !== 'legacy') return [shape, found]
    return [shape, { ...found, ...Object.fromEntries(this.#emptyIn(found)) }]
  }

  #emptyIn(record: object): readonly (readonly [string, string])[] {
    return this.#options.emptyFields.flatMap((name) => (name in record ? [] : [[name, ''] as const]))
  }

  /** A member that other records have is known to be empty in this one; of one that none has, nothing is known. */
  #part(shape: RecordShape, record: Answer, view: View): Answer | undefined {
    if (view.kind !== 'field') return viewOf(record, view)
    const absentIsEmpty = this.#options.answersUnknown && this.#db.has(shape, view.path[0] ?? '')
    return viewOf(record, { ...view, absentIsEmpty })
  }
}

/** The shapes that hold the address itself; the others are modules. */
const records: ReadonlySet<RecordShape> = new Set(['legacy', 'lite', 'lookup'])

const shapeByPath: ReadonlyMap<string, RecordShape> = new Map([
  ['/IP', 'legacy'],
  ['/lite/IP', 'lite'],
  ['/lookup/IP', 'lookup'],
  ['/plus/IP', 'lookup'],
  ['/max/IP', 'lookup'],
  ['/IP/asn', 'asn'],
  ['/IP/company', 'company'],
  ['/IP/carrier', 'carrier'],
  ['/IP/privacy', 'privacy'],
])

const shapeOf = (target: string, address: string): RecordShape | undefined =>
  shapeByPath.get(target.replace(address, 'IP'))
