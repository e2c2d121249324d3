import { z } from 'zod'
import { type CommonOptions, type Given, quoted, type Setting, single } from './setting.ts'

/** What a URL of a setting may have or not. */
type UrlPart = 'credentials' | 'path' | 'query'

const partsInWords: Readonly<Record<UrlPart, string>> = {
  credentials: 'a user or password in it is not used',
  path: 'a path in it is not used',
  query: 'a query in it is not used',
}

export interface UrlOptions {
  /** With their colon: `['https:', 'http:']`. */
  readonly protocols: readonly string[]
  /** What has no meaning there, and is refused. */
  readonly without?: readonly UrlPart[]
  /** Those of the protocols whose URLs may name several hosts, separated by commas. */
  readonly severalHosts?: readonly string[]
  /** `<NAME>_FILE` may name a file that holds it. */
  readonly fromFile?: true
  /** What else is wrong with it, with each host by itself, in words that hold nothing of it. */
  readonly fault?: (url: URL) => string | undefined
}

/**
 * A URL as text, without slashes at its end, so that a path may be put after it. A user name and password in it are
 * never shown. Needs a host, except for `unix:`, which needs a path.
 */
export function url<Optional extends boolean = false>(
  options: CommonOptions<string, Optional> & UrlOptions,
): Setting<Given<string, Optional>> {
  const { protocols, severalHosts = [], without = [], fault } = options
  const isAllowed = (given: string) => {
    if (!URL.canParse(given)) return false
    const { protocol, hostname, pathname } = new URL(given)
    if (!protocols.includes(protocol)) return false
    // WHATWG reads `https:example` and `https:\\example` too; a typing error is the likelier meaning.
    return protocol === 'unix:'
      ? pathname.length > 1
      : hostname !== '' && given.toLowerCase().startsWith(`${protocol}//`)
  }
  const parser = z.string().transform((given, context) => {
    const each = withOneHost(given, severalHosts)
    if (!each.every(isAllowed)) {
      const message = 'in a user or password, / is written %2F, ? %3F, # %23, @ %40 and % %25'
      if (given.includes('@')) context.addIssue({ code: 'custom', message, input: given })
      else context.addIssue({ code: 'invalid_format', format: 'url', input: given })
      return z.NEVER
    }
    const [message] = each.flatMap((one) => urlFault(one, without) ?? fault?.(new URL(one)) ?? [])
    if (message === undefined) return given.replace(/\/+$/, '')
    context.addIssue({ code: 'custom', message, input: given })
    return z.NEVER
  })
  const starts = protocols.map((name) => (name === 'unix:' ? name : `${name}//`))
  const last = starts.pop() ?? ''
  return single(options, {
    parser,
    allowed: `a URL that starts with ${starts.length > 0 ? `${starts.join(', ')} or ` : ''}${last}`,
    showGiven: (given) => quoted(withoutCredentials(given)),
    show: withoutCredentials,
    secretsIn: (given) => credentialsIn(withOneHost(given, severalHosts)[0] ?? given),
    fromFile: options.fromFile ?? false,
  })
}

/** For each host of a URL, the URL with this one only. @param severalHosts protocols that may have several */
function withOneHost(given: string, severalHosts: readonly string[]): readonly string[] {
  const { protocol = '', user = '', hosts = '', rest = '' } = inParts.exec(given)?.groups ?? {}
  if (!severalHosts.includes(protocol.toLowerCase())) return [given]
  return hosts.split(',').map((host) => `${protocol}//${user}${host}${rest}`)
}

const inParts = /^(?<protocol>[^/]*:)\/\/(?<user>.*@)?(?<hosts>[^/?#@]*)(?<rest>.*)$/s

/**
 * The password of a URL; a user name that stands alone is a token. As typed, as WHATWG encodes it, and as the server
 * gets it: a log may hold any of the three.
 */
function credentialsIn(given: string): readonly string[] {
  const { username, password } = new URL(given)
  const encoded = password === '' ? username : password
  const authority = /^[^/]*\/\/([^/?#]*)/.exec(given)?.[1] ?? ''
  const userInfo = authority.slice(0, Math.max(authority.lastIndexOf('@'), 0))
  const typed = userInfo.slice(userInfo.indexOf(':') + 1)
  return [...new Set([typed, encoded, decoded(encoded) ?? encoded])].filter((value) => value !== '')
}

/**
 * What is wrong with a URL that can be parsed and never work: in words that hold nothing of it, since it may hold a
 * password. @param without what has no meaning there
 */
function urlFault(given: string, without: readonly UrlPart[]): string | undefined {
  const parsed = new URL(given)
  if (/\s/.test(given)) return 'there is a blank in it'
  if (parsed.port === '0') return 'there is no port 0'
  if (decoded(parsed.username) === undefined || decoded(parsed.password) === undefined)
    return 'a % in its user or password is written %25'
  if (given.includes('#')) return 'a # ends it; in a user or password it is written %23'
  const has: Readonly<Record<UrlPart, boolean>> = {
    credentials: parsed.username !== '' || parsed.password !== '',
    path: /[^/]/.test(parsed.pathname),
    query: given.includes('?'),
  }
  const needless = without.find((part) => has[part])
  return needless && partsInWords[needless]
}

/** Undefined for what is not percent-encoded as it should be. */
function decoded(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

/** Also for text that is no URL: everything up to the last `@` may be a password, everything after `?` a token. */
export function withoutCredentials(given: string): string {
  return given.replace(/^.*@/s, '***@').replace(/\?.*$/s, '?***')
}
