import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import { readSourceName } from '../sources/source-list.ts'
import type { Session } from '../sources/source-pool.ts'

export type SessionName =
  | {
      readonly kind: 'name'
      readonly user: string
      readonly session: Session | undefined
      readonly source: string | undefined
    }
  /** The name does not begin with a known user. */
  | { readonly kind: 'unknown_user' }
  /** `detail`: what is wrong with the options, for the log. */
  | { readonly kind: 'bad_option'; readonly user: string; readonly detail: string }

/** Longer than any that is configured, with all its options. */
const maxNameLength = 300
const maxTtlSeconds = 30 * 86_400

/**
 * Reads the options that a client adds to its user name, in the form that proxies commonly use: `user-session-<id>`,
 * also `-sessid-<id>`, with `-ttl-<seconds>` or `-sesstime-<minutes>`, and `-hard`, in any order, and `-ip-<address>`,
 * which goes before a session. The user is the longest known one that the name begins with, so users may have hyphens.
 * Sessions of two users with the same id are two sessions.
 */
export function readSessionName(name: string, isUser: (name: string) => boolean): SessionName {
  const user = name.length > maxNameLength ? undefined : longestUser(name, isUser)
  return user === undefined ? { kind: 'unknown_user' } : readOptions(user, name.slice(user.length))
}

const firstOption = /-(?:session|sessid|ttl|sesstime|hard|ip)(?:-|$)/

/** Without credentials to check, the user is what precedes the first option. */
export function readAnySessionName(name: string): SessionName {
  const user = name.slice(0, firstOption.exec(name)?.index)
  return name.length > maxNameLength ? { kind: 'unknown_user' } : readOptions(user, name.slice(user.length))
}

function longestUser(name: string, isUser: (name: string) => boolean): string | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf('-', end - 1)) {
    if (isUser(name.slice(0, end))) return name.slice(0, end)
  }
  return undefined
}

interface Options {
  source?: string
  id?: string
  ttlSeconds?: number
  hard?: boolean
}

function readOptions(user: string, text: string): SessionName {
  const options: Options = {}
  const words = text.split('-').slice(1)
  while (words.length > 0) {
    const detail = takeOption(words, options)
    if (detail !== undefined) return { kind: 'bad_option', user, detail }
  }
  const { source, id, ttlSeconds, hard = false } = options
  if (id !== undefined) return { kind: 'name', user, session: { id: `${user}/${id}`, ttlSeconds, hard }, source }
  if (ttlSeconds === undefined && !hard) return { kind: 'name', user, session: undefined, source }
  return { kind: 'bad_option', user, detail: 'there are options for a session, but no session' }
}

/** Takes one option off the words. @returns what is wrong with it */
function takeOption(words: string[], options: Options): string | undefined {
  const [option = ''] = words.splice(0, 1)
  switch (option) {
    case 'session':
    case 'sessid':
      return takeId(words, options)
    case 'ip':
      return takeSource(words, options)
    case 'ttl':
      return takeTtl(words, options, { seconds: 1, inWords: 'ttl: whole seconds' })
    case 'sesstime':
      return takeTtl(words, options, { seconds: 60, inWords: 'sesstime: whole minutes' })
    case 'hard': {
      if (options.hard) return 'hard is there twice'
      options.hard = true
      return undefined
    }
    default:
      return `option ${JSON.stringify(option)} is not known`
  }
}

function takeId(words: string[], options: Options): string | undefined {
  const [id = ''] = words.splice(0, 1)
  if (options.id !== undefined) return 'the session is there twice'
  if (!/^\w{1,64}$/.test(id)) return 'a session is 1 to 64 letters, digits and underscores'
  options.id = id
  return undefined
}

/** An address is one word, with `_` for the colon, which would end a user name. A label may have hyphens, so it is the rest. */
function takeSource(words: string[], options: Options): string | undefined {
  const address = canonicalAddress((words[0] ?? '').replaceAll('_', ':'))
  const given = words.splice(0, address === undefined ? words.length : 1).join('-')
  if (options.source !== undefined) return 'the ip is there twice'
  const source = address ?? readSourceName(given)
  if (source === undefined) return 'an ip is an address, or the label of a parent'
  options.source = source
  return undefined
}

function takeTtl(words: string[], options: Options, unit: { seconds: number; inWords: string }): string | undefined {
  const [given = ''] = words.splice(0, 1)
  const ttlSeconds = Number(given) * unit.seconds
  if (options.ttlSeconds !== undefined) return 'the time of the session is there twice'
  if (!/^[1-9]\d{0,6}$/.test(given) || ttlSeconds > maxTtlSeconds) {
    return `${unit.inWords} from 1 to ${maxTtlSeconds / unit.seconds}`
  }
  options.ttlSeconds = ttlSeconds
  return undefined
}
