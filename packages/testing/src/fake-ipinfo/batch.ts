import { type Answer, json, refusals } from './answer.ts'
import { namesItsProduct } from './plans.ts'
import { type Asker, answerPath } from './surface.ts'

/** What IPinfo takes in one batch. */
const maxItems = 1000

/**
 * The list of a batch's body: a JSON array, or one item a line. Undefined for anything else, such as an
 * object or an array that holds more than texts. The content type plays no part: SDKs leave it out.
 */
export function readList(body: string): readonly string[] | undefined {
  const text = body.trim()
  if (text.startsWith('{')) return undefined
  if (!text.startsWith('[')) return text.split(/\r?\n/).flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined
  } catch {
    return undefined
  }
}

/** Why a batch is refused as a whole, if it is. */
export function batchRefusal(items: readonly string[] | undefined): Answer | undefined {
  if (items === undefined) return refusals.badBatch
  return items.length > maxItems ? refusals.batchTooLong : undefined
}

export interface BatchOptions {
  readonly asker: Asker
  /** The product of items that are bare addresses: `lite/` for `/batch/lite`, `lookup/` for `/batch` of api.ipinfo.io. */
  readonly prefix: '' | 'lite/' | 'lookup/'
  /** What an item is answered with instead, as far as that depends on the key or on the address. */
  readonly refusalOf: (segments: readonly string[]) => Answer | undefined
  /** `?filter=1`: items whose result is empty are left out. */
  readonly dropsEmpty: boolean
  /** How many items the quota still pays for; those beyond it answer 429 inside. */
  readonly affordable: number
}

/** The object of a batch: the items verbatim as keys, a missing value as `""`, an item's error embedded. */
export function answerBatch(items: readonly string[], options: BatchOptions): Answer {
  const results: Record<string, unknown> = Object.create(null)
  for (const [at, item] of items.entries()) {
    const answer = at < options.affordable ? answerItem(item, options) : refusals.rateLimited
    if (options.dropsEmpty && isEmpty(answer.value)) continue
    results[item] = answer.value
  }
  return json(results)
}

function answerItem(item: string, { prefix, refusalOf, asker }: BatchOptions): Answer {
  const [path = '', search = ''] = item.split('?')
  const [head = '', ...rest] = path.split('/').filter(Boolean)
  const segments = [...(namesItsProduct(head) ? [] : prefix.split('/').filter(Boolean)), head, ...rest]
  return refusalOf(segments) ?? answerPath(segments, new URLSearchParams(search), asker)
}

function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
}
