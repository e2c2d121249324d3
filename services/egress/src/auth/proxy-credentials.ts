import { isUtf8 } from 'node:buffer'

export interface ProxyCredentials {
  /** As the client sent it; may have options after the name. */
  readonly user: string
  readonly password: string
}

/** User and password as the bytes that a client sent apart (RFC 1929). */
export interface GivenPair {
  readonly user: Buffer
  readonly password: Buffer
}

const basic = /^basic +((?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?)$/i

// eslint-disable-next-line no-control-regex -- control characters are what it refuses
const controls = /[\u0000-\u001f\u007f]/

/** Text without control characters (RFC 7617 §2). Undefined for anything else. */
export function readCredentials(given: string | GivenPair): ProxyCredentials | undefined {
  if (typeof given === 'string') return readProxyCredentials(given)
  const [user, password] = [textIn(given.user), textIn(given.password)]
  return user === undefined || password === undefined ? undefined : { user, password }
}

/** Of a Proxy-Authorization field (RFC 7617): Basic, one spelling of base64, and a colon. Passwords may have colons. */
export function readProxyCredentials(field: string): ProxyCredentials | undefined {
  const token = basic.exec(field)?.[1]
  if (token === undefined) return undefined
  const bytes = Buffer.from(token, 'base64')
  // The padding bits of the last character must be 0, or one pair has several spellings.
  if (bytes.toString('base64') !== token) return undefined
  const text = textIn(bytes)
  if (text === undefined) return undefined
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/**
 * UTF-8 as the challenge says, or else Latin-1, which Java's clients and Python's requests, urllib3 and aiohttp send
 * whatever it says. Text that both can write is seldom UTF-8 by chance, and is then no configured password.
 */
function textIn(bytes: Buffer): string | undefined {
  const text = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1')
  return controls.test(text) ? undefined : text
}
