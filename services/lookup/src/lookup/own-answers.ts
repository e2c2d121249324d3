import type { Answer } from '@ipfleet/cache/entry.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { RecordShape } from '@ipfleet/offline/offline-record.ts'
import { jsonModules, type Query } from '../query/query.ts'
import { fieldAnswer, jsonAnswer, viewOf } from '../query/record-view.ts'
import { isReserved } from '@ipfleet/net/reserved-addresses.ts'

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
  answer(query: Query): Answer | undefined {
    const { address, expected, within } = query
    if (address === undefined) return undefined
    const { answersUnknown } = this.#options
    const record = this.#record(within?.record.target ?? query.target, address)
    if (record === undefined) return answersUnknown && expected === 'any' ? wrongModule : undefined
    if (within === undefined) return jsonAnswer(record)
    // In a mode that answers whatever is asked, what the record lacks is as unknown there as it is here.
    const view = within.view.kind === 'field' ? { ...within.view, absentIsEmpty: answersUnknown } : within.view
    return viewOf(jsonAnswer(record), view)
  }

  #record(target: string, address: string): object | undefined {
    const path = target.replace(/\?.*$/, '').replace(address, 'IP')
    const shape = shapeByPath.get(path)
    const found = shape && this.#db.record(shape, address)
    const record = found ?? (this.#options.answersUnknown && isKnown(path) ? { ip: address } : undefined)
    if (record === undefined || shape !== 'legacy') return record
    return { ...record, ...Object.fromEntries(this.#emptyIn(record)) }
  }

  #emptyIn(record: object): readonly (readonly [string, string])[] {
    return this.#options.emptyFields.flatMap((name) => (name in record ? [] : [[name, ''] as const]))
  }
}

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

/** Whether upstream has a record of an address at that path. */
function isKnown(path: string): boolean {
  const module = /^\/IP\/([^/]+)$/.exec(path)?.[1]
  return shapeByPath.has(path) || /^\/(resproxy|domains|places)\/IP$/.test(path) || jsonModules.has(module ?? '')
}

/** As upstream answers a part that it does not know. */
const wrongModule: Answer = {
  ...jsonAnswer({ title: 'Wrong module or field type', message: 'There is no module or field of that name' }),
  status: 400,
}
