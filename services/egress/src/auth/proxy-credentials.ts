export interface ProxyCredentials {
  /** As the client sent it; may have options after the name. */
  readonly user: string
  readonly password: string
}

const basic = /^basic +((?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?)$/i
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

// eslint-disable-next-line no-control-regex -- control characters are what it refuses
const controls = /[\u0000-\u001f\u007f]/

/**
 * The credentials of a Proxy-Authorization field (RFC 7617): Basic, one spelling of base64, UTF-8, a colon, and no
 * control characters (§2). The password may have colons. Undefined for anything else.
 */
export function readProxyCredentials(field: string): ProxyCredentials | undefined {
  const token = basic.exec(field)?.[1]
  if (token === undefined) return undefined
  const bytes = Buffer.from(token, 'base64')
  // The padding bits of the last character must be 0, or one pair has several spellings.
  if (bytes.toString('base64') !== token) return undefined
  const text = decoded(bytes)
  if (text === undefined || controls.test(text)) return undefined
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

function decoded(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
