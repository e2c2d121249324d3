import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { addressSubject } from '@ipfleet/http/address-subject.ts'
import { givenToken } from '@ipfleet/http/given-token.ts'
import type { KeyExtractor } from '../config/edge-config.ts'

/**
 * Whose requests are counted together. An IPv6 client has at least a /64 to itself (RFC 6177), so its addresses count
 * as one. Tokens and fields may be secrets: only their hash is kept and shared. A request without the token or the
 * field counts as its address.
 */
export function subjectOf(extractor: KeyExtractor, req: IncomingMessage, address: string): string {
  const given = extractor.kind === 'client_ip' ? undefined : givenBy(extractor, req)
  return given === undefined ? addressSubject(address) : hashOf(given)
}

function givenBy(extractor: Exclude<KeyExtractor, { kind: 'client_ip' }>, req: IncomingMessage): string | undefined {
  if (extractor.kind === 'token') return givenToken(req)
  const value = req.headers[extractor.name]
  const text = Array.isArray(value) ? value.join(', ') : value
  return text === '' ? undefined : text
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
