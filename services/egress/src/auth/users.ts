import { readTargetItem, TargetList } from '@ipfleet/net/target-list.ts'
import { readSourceList, type SourceList } from '../sources/source-list.ts'
import { type PasswordHash, readPasswordHash } from './password-hash.ts'

export interface User {
  readonly name: string
  readonly password: PasswordHash
  /** Replaces RATE_LIMIT_BURST and RATE_LIMIT_REFILL; without a refill of its own, the user has that of the setting. */
  readonly limit: { readonly burst: number; readonly refillPerSecond: number | undefined } | undefined
  /** Replaces MAX_TUNNELS_PER_CLIENT. */
  readonly maxTunnels: number | undefined
  /** Which source addresses the user may choose. Undefined: none. */
  readonly ips: SourceList | undefined
  /** If set, the user may only go to these, of the targets that the policy allows. */
  readonly allow: TargetList | undefined
}

/** By name. */
export type Users = ReadonlyMap<string, User>

export interface LineFault {
  /** Counted from 1. */
  readonly line: number
  /** Contains neither password nor hash. */
  readonly message: string
}

export type ReadUsers =
  | { readonly kind: 'users'; readonly users: Users }
  | { readonly kind: 'faults'; readonly faults: readonly LineFault[] }

/**
 * Users, one a line: `name:scrypt$N=16384,r=8,p=1$salt$hash`, and behind that, in any order,
 * `burst=20 refill=1 tunnels=50 allow=10.0.0.0/8,example.com ips=192.0.2.10,de-1`. Empty lines, and those
 * that begin with `#`, are none.
 */
export function readUsers(text: string): ReadUsers {
  const users = new Map<string, User>()
  const faults: LineFault[] = []
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = whole.trim()
    if (line === '' || line.startsWith('#')) continue
    const user = readUser(line)
    if (typeof user === 'string') faults.push({ line: index + 1, message: user })
    else if (users.has(user.name)) faults.push({ line: index + 1, message: 'the user is there twice' })
    else users.set(user.name, user)
  }
  return faults.length > 0 ? { kind: 'faults', faults } : { kind: 'users', users }
}

/** @returns what is wrong with the line, if anything is */
function readUser(line: string): User | string {
  const [account = '', ...words] = line.split(/\s+/)
  const colon = account.indexOf(':')
  const name = account.slice(0, Math.max(colon, 0))
  if (name === '' || name.length > 128) return 'does not begin with a name of up to 128 characters and a colon'
  const password = readPasswordHash(account.slice(colon + 1))
  if (password === undefined) return 'there is no hash behind the name, as hash-password.ts prints it'
  const options = readOptions(words)
  if (typeof options === 'string') return options
  const { burst, refill, tunnels, allow, ips } = options
  if (refill !== undefined && burst === undefined) return 'refill needs burst'
  const limit = burst === undefined ? undefined : { burst, refillPerSecond: refill }
  return { name, password, limit, maxTunnels: tunnels, allow, ips }
}

const readers = {
  burst: (text: string) => wholeNumber(text),
  tunnels: (text: string) => wholeNumber(text),
  refill: (text: string) => (/^\d{1,7}(?:\.\d{1,3})?$/.test(text) && Number(text) > 0 ? Number(text) : undefined),
  allow: (text: string) => targets(text),
  ips: (text: string) => readSourceList(text),
}

type Options = { readonly [Name in keyof typeof readers]?: ReturnType<(typeof readers)[Name]> }

function readOptions(words: readonly string[]): Options | string {
  const options: Record<string, unknown> = {}
  for (const word of words) {
    const equals = word.indexOf('=')
    const name = word.slice(0, Math.max(equals, 0))
    if (!isOption(name)) return `${JSON.stringify(word)} is not one of ${Object.keys(readers).join('=, ')}=`
    if (Object.hasOwn(options, name)) return `${name} is there twice`
    const value = readers[name](word.slice(equals + 1))
    if (value === undefined) return `${JSON.stringify(word)} has no value that ${name} may have`
    options[name] = value
  }
  return options
}

function isOption(name: string): name is keyof typeof readers {
  return Object.hasOwn(readers, name)
}

function wholeNumber(text: string): number | undefined {
  return /^[1-9]\d{0,6}$/.test(text) ? Number(text) : undefined
}

/** As ALLOW_TARGETS. */
function targets(text: string): TargetList | undefined {
  const items = text.split(',').map(readTargetItem)
  return items.every((item) => item !== undefined) ? new TargetList(items.flat()) : undefined
}
