import type { Answer } from '@ipfleet/cache/entry.ts'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import { jsonAnswer, offlineAnswer, reservedAnswer } from './answers.ts'
import { parseTarget } from './question.ts'

const maxItems = 1000

/**
 * The items of a batch: a JSON array of strings, or a list with one on each line, whatever the Content-Type says
 * (SDKs send either with any).
 * @throws ProxyError `bad_request`, `payload_too_large` for more than 1000
 */
export function batchItems(body: Buffer): string[] {
  const text = body.toString('utf8').trim()
  const items = text.startsWith('[')
    ? jsonItems(text)
    : text
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter(Boolean)
  if (items.length === 0) throw new ProxyError('bad_request', { message: 'A batch is a JSON array or a list of lines' })
  if (items.length > maxItems) {
    throw new ProxyError('payload_too_large', { message: `A batch holds at most ${maxItems} items` })
  }
  return items
}

function jsonItems(text: string): string[] {
  let items: unknown
  try {
    items = JSON.parse(text)
  } catch (cause) {
    throw new ProxyError('bad_request', { message: 'The batch is not valid JSON', cause })
  }
  if (Array.isArray(items) && items.every((item) => typeof item === 'string')) return items
  throw new ProxyError('bad_request', { message: 'Every item of a batch is a string' })
}

/** A batch answered without upstream: what is not known is an error of that item. */
export function offlineBatch(db: OfflineDb, items: readonly string[]): Answer {
  return jsonAnswer(Object.fromEntries(items.map((item) => [item, offlineItem(db, item)])))
}

function offlineItem(db: OfflineDb, item: string): unknown {
  try {
    const parsed = parseTarget(`/${item}`)
    const question = parsed.kind === 'question' ? parsed.question : undefined
    const answer = question && (reservedAnswer(question) ?? offlineAnswer(db, question))
    if (!answer) throw new ProxyError('no_offline_answer')
    const text = answer.body.toString('utf8')
    return answer.contentType.includes('json') ? JSON.parse(text) : text.trimEnd()
  } catch (error) {
    return JSON.parse(ProxyError.from(error).body())
  }
}
