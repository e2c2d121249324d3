import type { AnswerHead } from './http1/exchange-types.ts'
import { fieldsWhere, isNamed } from './http1/raw-fields.ts'

const trailer = 'trailer'
/** What a proxy asks of its own client, and tells it (RFC 9110 §11.7): from further away it would pass for our asking. */
const [asksForCredentials, tellsOfCredentials] = ['proxy-authenticate', 'proxy-authentication-info'] as const

/**
 * What of an answer's fields the client gets: not `ours` (in lower case), which are this hop's to say, nor what a proxy
 * says to its own client only, nor Trailer where no trailers can follow; Node 26 (lib/_http_outgoing.js) throws for that.
 */
export function passedFields(
  { fields, framing }: AnswerHead,
  clientVersion: string,
  ...ours: readonly string[]
): string[] {
  const mayAnnounce = framing === 'chunked' && clientVersion !== '1.0'
  for (let index = 0; index < fields.length; index += 2) {
    if (isDropped(fields[index] ?? '', mayAnnounce, ours)) {
      return fieldsWhere(fields, (name) => !isDropped(name, mayAnnounce, ours))
    }
  }
  return fields
}

function isDropped(name: string, mayAnnounce: boolean, ours: readonly string[]): boolean {
  for (const our of ours) if (isNamed(name, our)) return true
  if (!mayAnnounce && isNamed(name, trailer)) return true
  return isNamed(name, asksForCredentials) || isNamed(name, tellsOfCredentials)
}
