import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { webhookTarget } from './webhook-target.ts'

const maxCallbackLength = 2048

/**
 * What `?callback=` names, as it is to be kept. Never with credentials or a fragment: the former belong in the signature,
 * the latter never travels.
 * @param given as a query parser gives it: several values are an array
 * @throws ProxyError `bad_request`
 */
export function readCallback(given: unknown): URL {
  if (typeof given !== 'string' || given === '') throw unfit('must be one http or https URL')
  if (given.length > maxCallbackLength) throw unfit(`must be at most ${maxCallbackLength} characters long`)
  // WHATWG URL drops some of these without a word, and what is called would not be what was given.
  if (/[\s\p{Cc}\\]/u.test(given)) throw unfit('must hold no spaces, control characters or backslashes')
  const url = URL.parse(given)
  if (url === null) throw unfit('is no URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw unfit('must begin with https:// or http://')
  if (url.username !== '' || url.password !== '') throw unfit('must hold no user name or password')
  if (given.includes('#')) throw unfit('must hold no fragment (#)')
  if (webhookTarget(url) === undefined) throw unfit('must have a host that is a name or an address')
  // What is not ASCII is longer once it is encoded.
  if (url.href.length > maxCallbackLength) throw unfit(`must be at most ${maxCallbackLength} characters long`)
  return url
}

/** As the job's own client may see it: without the query, which may hold secrets. Of what `readCallback` has taken. */
export function shownCallback(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

function unfit(what: string): ProxyError {
  return new ProxyError('bad_request', { message: `The callback ${what}` })
}
