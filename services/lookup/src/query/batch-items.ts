import { isUtf8 } from 'node:buffer'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

const maxItems = 1000

/**
 * The items of a batch: a JSON array of strings, or a list with one on each line, whatever the Content-Type says
 * (SDKs send either with any).
 * @throws ProxyError `bad_request`, `payload_too_large` for more than 1000
 */
export function batchItems(body: Buffer): string[] {
  if (!isUtf8(body)) throw new ProxyError('bad_request', { message: 'The batch is not valid UTF-8' })
  const text = body.toString('utf8').trim()
  // No line begins like JSON of any other kind, so that an object is told that it is no list.
  const items = /^[[{"]/.test(text)
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
