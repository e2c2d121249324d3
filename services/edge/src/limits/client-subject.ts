import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { givenToken } from '@ipfleet/http-server/given-token.ts'
import type { KeyExtractor } from '../config/config-kinds.ts'

/**
 * Whose requests are counted together. An IPv6 client has at least a /64 to itself (RFC 6177), so its addresses count
 * as one. Tokens and fields may be secrets: only their hash is kept and shared. A request without the token or the
 * field counts as its address, and so does one whose token or field is not known: else a client would have a budget for
 * each that it invents.
 */
export function subjectOf(
  { extractor, known }: { readonly extractor: KeyExtractor; readonly known: ReadonlySet<string> },
  req: IncomingMessage,
  address: string,
): string {
  const given = extractor.kind === 'client_ip' || known.size === 0 ? undefined : givenBy(extractor, req)
  const hash = given === undefined ? undefined : hashOfKey(given)
  return hash !== undefined && known.has(hash) ? hash : addressSubject(address)
}

function givenBy(extractor: Exclude<KeyExtractor, { kind: 'client_ip' }>, req: IncomingMessage): string | undefined {
  if (extractor.kind === 'token') return givenToken(req)
  const value = req.headers[extractor.name]
  const text = Array.isArray(value) ? value.join(', ') : value
  return text === '' ? undefined : text
}

/** What is kept of a token or a field. */
export function hashOfKey(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
