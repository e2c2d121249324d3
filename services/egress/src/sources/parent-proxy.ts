import { authorityOf } from '@ipfleet/net/target.ts'
import { readHost } from '@ipfleet/net/authority.ts'

/** Another proxy that connections leave through. */
export interface ParentProxy {
  readonly protocol: 'http' | 'socks5'
  /** A name in lower case, or an address in canonical spelling. */
  readonly host: string
  readonly port: number
  readonly credentials: { readonly user: string; readonly password: string } | undefined
  /** Who looks up the names of targets: this proxy, which checks the addresses and sends one, or the parent. */
  readonly dns: 'local' | 'remote'
  /** What logs, metrics and clients see: `#name`, or else host and port. */
  readonly label: string
}

export type ReadParent =
  | { readonly kind: 'parent'; readonly parent: ParentProxy }
  /** Holds nothing of the credentials. */
  | { readonly kind: 'fault'; readonly fault: string }

export const parentInWords = 'http://user:password@host:port/?dns=remote#label, or the same with socks5://'
export const labelForm = /^[\w.:[\]-]{1,64}$/
const protocols: Readonly<Record<string, Pick<ParentProxy, 'protocol' | 'dns'>>> = {
  'http:': { protocol: 'http', dns: 'local' },
  'socks5:': { protocol: 'socks5', dns: 'local' },
  // As in curl.
  'socks5h:': { protocol: 'socks5', dns: 'remote' },
}
const defaultPorts = { http: 80, socks5: 1080 } as const
/** RFC 1929 §2: one byte says how long each is. */
const maxSocksCredential = 255

/** Whether an item of IP_POOL is meant as a parent. */
export function isParentItem(item: string): boolean {
  return item.includes('://')
}

/** Reads one item of IP_POOL. User and password are percent-encoded. */
export function readParent(item: string): ReadParent {
  const url = URL.parse(item)
  if (url === null) return fault(`is no URL as ${parentInWords}`)
  const known = protocols[url.protocol]
  if (known === undefined) return fault('is neither http:// nor socks5://')
  const host = readHost(url.hostname)?.host
  if (host === undefined) return fault('names no host')
  if (url.pathname.length > 1) return fault('has a path, which a proxy has not')
  const query = [...url.searchParams]
  if (query.some(([name, value]) => name !== 'dns' || !['local', 'remote'].includes(value)) || query.length > 1) {
    return fault('may have ?dns=remote or ?dns=local behind it, and nothing else')
  }
  const credentials = credentialsIn(url)
  if (credentials === undefined) return fault('has a user or password that is not percent-encoded UTF-8 of one line')
  if (
    known.protocol === 'socks5' &&
    Object.values(credentials).some((one) => Buffer.byteLength(one) > maxSocksCredential)
  ) {
    return fault(`has a user or password of more than ${maxSocksCredential} bytes`)
  }
  const port = url.port === '' ? defaultPorts[known.protocol] : Number(url.port)
  if (port === 0) return fault('names port 0')
  const label = url.hash === '' ? authorityOf({ host, port }) : url.hash.slice(1)
  if (!labelForm.test(label)) return fault('has a label that is not 1 to 64 letters, digits and -_.:[]')
  const dns = query[0]?.[1] === 'remote' ? 'remote' : query[0] ? 'local' : known.dns
  const isAnonymous = credentials.user === '' && credentials.password === ''
  const parent = {
    host,
    protocol: known.protocol,
    port,
    dns,
    label,
    credentials: isAnonymous ? undefined : credentials,
  }
  return { kind: 'parent', parent: parent satisfies ParentProxy }
}

/** What of an item of IP_POOL must not be shown: the password, as it is and as it is written. */
export function secretsInItem(item: string): readonly string[] {
  const password = isParentItem(item) ? (URL.parse(item)?.password ?? '') : ''
  return password === '' ? [] : [...new Set([password, decoded(password) ?? password])]
}

function credentialsIn({ username, password }: URL): { user: string; password: string } | undefined {
  const [user, secret] = [decoded(username), decoded(password)]
  return user === undefined || secret === undefined ? undefined : { user, password: secret }
}

// eslint-disable-next-line no-control-regex -- control characters are what it refuses
const controls = /[\u0000-\u001f\u007f]/

function decoded(text: string): string | undefined {
  try {
    const plain = decodeURIComponent(text)
    return controls.test(plain) ? undefined : plain
  } catch {
    return undefined
  }
}

function fault(text: string): ReadParent {
  return { kind: 'fault', fault: text }
}
