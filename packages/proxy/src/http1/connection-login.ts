import type { AnswerHead } from './exchange-types.ts'
import { isNamed, pairsOf } from './raw-fields.ts'

/**
 * Servers that take NTLM or Negotiate take all that follows on the connection for the user who has logged in on it
 * (RFC 4559 §6), so that no other client may have this connection.
 */
const credentials = /^(?:ntlm|negotiate)(?: |$)/i
/** With a token: the login goes on with the next request. Without one it is only offered, or has failed. */
const furtherStep = /(?:^|,)[ \t]*(?:ntlm|negotiate) +[\w+/]/i

/** @param authorization the value of that field */
export function logsInConnection(authorization: string): boolean {
  return credentials.test(authorization)
}

/** Whether the server asks for one more step of a login, so that no user is logged in yet. */
export function asksForFurtherStep({ status, fields }: AnswerHead): boolean {
  if (status !== 401) return false
  return pairsOf(fields).some(([name, value]) => isNamed(name, 'www-authenticate') && furtherStep.test(value))
}
