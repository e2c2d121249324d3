/** The kinds of settings: each turns text into a value and says in words what it allows. */

import { z } from 'zod'
import { cidrBlocks } from './cidr-blocks.ts'
import { rangeInWords } from './range-in-words.ts'
import { type CommonOptions, type Given, list, quoted, type Setting, single } from './setting.ts'
import { longestTimerMs } from './longest-timer.ts'
import { type UrlPart, urlFault } from './url-fault.ts'
import { withoutCredentials } from './without-credentials.ts'

export interface RangeOptions {
  readonly min?: number
  readonly max?: number
}

const secondsInYear = 31_536_000

/** A whole number, decimal digits only. */
export function integer<Optional extends boolean = false>(
  options: CommonOptions<number, Optional> & RangeOptions,
): Setting<Given<number, Optional>> {
  return single(options, numeric(options, 'a whole number', /^-?\d+$/))
}

/** A decimal number such as `0.25`; no exponents. */
export function number<Optional extends boolean = false>(
  options: CommonOptions<number, Optional> & RangeOptions,
): Setting<Given<number, Optional>> {
  return single(options, numeric(options, 'a number', /^-?\d+(\.\d+)?$/))
}

/** A duration in seconds, fractions allowed; 0 to one year unless said otherwise. */
export function seconds<Optional extends boolean = false>(
  options: CommonOptions<number, Optional> & RangeOptions,
): Setting<Given<number, Optional>> {
  return single(options, numeric({ min: 0, max: secondsInYear, ...options }, 'seconds', /^\d+(\.\d+)?$/))
}

/** A duration in whole milliseconds; 0 to the longest delay of a timer (24.8 days) unless said otherwise. */
export function milliseconds<Optional extends boolean = false>(
  options: CommonOptions<number, Optional> & RangeOptions,
): Setting<Given<number, Optional>> {
  return single(options, numeric({ min: 0, max: longestTimerMs, ...options }, 'whole milliseconds', /^\d+$/))
}

function numeric({ min = -Infinity, max = Infinity }: RangeOptions, noun: string, form: RegExp) {
  const range = z.number().min(min).max(max)
  return {
    // Beyond 2^53 digits are lost on the way to a number: such text was never meant.
    parser: z.string().regex(form).transform(Number).pipe(range.max(Number.MAX_SAFE_INTEGER)),
    allowed: `${noun}${rangeInWords(min, max)}`,
  }
}

/** `true` or `false`, in the spellings that operators use. */
export function flag<Optional extends boolean = false>(
  options: CommonOptions<boolean, Optional>,
): Setting<Given<boolean, Optional>> {
  return single(options, {
    parser: z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] }),
    allowed: 'true or false (also 1/0, yes/no, on/off)',
  })
}

/** One of the given words; letter case does not matter. */
export function choice<const Word extends string, Optional extends boolean = false>(
  words: readonly Word[],
  options: CommonOptions<NoInfer<Word>, Optional>,
): Setting<Given<Word, Optional>> {
  const byLowerCase = new Map(words.map((word) => [word.toLowerCase(), word]))
  const parser = z.string().transform((given, context) => {
    const word = byLowerCase.get(given.toLowerCase())
    if (word !== undefined) return word
    context.addIssue({ code: 'invalid_value', values: [...words], input: given })
    return z.NEVER
  })
  return single(options, { parser, allowed: words.join(' or ') })
}

/** Text of one line; `pattern` narrows it and `allowed` then says to what. */
export function text<Optional extends boolean = false>(
  options: CommonOptions<string, Optional> & { readonly pattern?: RegExp; readonly allowed?: string },
): Setting<Given<string, Optional>> {
  return single(options, {
    parser: z
      .string()
      .regex(oneLine)
      .regex(options.pattern ?? oneLine),
    allowed: options.allowed ?? 'text of one line',
  })
}

// eslint-disable-next-line no-control-regex -- control characters are what it refuses
const oneLine = /^[^\u0000-\u001f\u007f]*$/

/** A path in the file system, as given: relative ones start at the working directory. */
export function path<Optional extends boolean = false>(
  options: CommonOptions<string, Optional>,
): Setting<Given<string, Optional>> {
  return single(options, { parser: z.string().regex(oneLine), allowed: 'a path' })
}

export interface UrlOptions {
  /** With their colon: `['https:', 'http:']`. */
  readonly protocols: readonly string[]
  /** What has no meaning there, and is refused. */
  readonly without?: readonly UrlPart[]
  /** What else is wrong with it, in words that hold nothing of it. */
  readonly fault?: (url: URL) => string | undefined
}

/**
 * A URL as text, without slashes at its end, so that a path may be put after it. A user name and password in it are
 * never shown. Needs a host, except for `unix:`, which needs a path.
 */
export function url<Optional extends boolean = false>(
  options: CommonOptions<string, Optional> & UrlOptions,
): Setting<Given<string, Optional>> {
  const isAllowed = (given: string) => {
    if (!URL.canParse(given)) return false
    const { protocol, hostname, pathname } = new URL(given)
    if (!options.protocols.includes(protocol)) return false
    // WHATWG reads `https:example` and `https:\\example` too; a typing error is the likelier meaning.
    return protocol === 'unix:'
      ? pathname.length > 1
      : hostname !== '' && given.toLowerCase().startsWith(`${protocol}//`)
  }
  const parser = z.string().transform((given, context) => {
    if (!isAllowed(given)) {
      const message = 'in a user or password, / is written %2F, ? %3F, # %23, @ %40 and % %25'
      if (given.includes('@')) context.addIssue({ code: 'custom', message, input: given })
      else context.addIssue({ code: 'invalid_format', format: 'url', input: given })
      return z.NEVER
    }
    const message = urlFault(given, options.without ?? []) ?? options.fault?.(new URL(given))
    if (message === undefined) return given.replace(/\/+$/, '')
    context.addIssue({ code: 'custom', message, input: given })
    return z.NEVER
  })
  const starts = options.protocols.map((name) => (name === 'unix:' ? name : `${name}//`))
  return single(options, {
    parser,
    allowed: `a URL that starts with ${starts.join(' or ')}`,
    showGiven: (given) => quoted(withoutCredentials(given)),
    show: withoutCredentials,
    secretsIn: credentialsIn,
  })
}

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
  return [...new Set([typed, encoded, decoded(encoded)])].filter((value) => value !== '')
}

function decoded(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

/** What HTTP header fields can carry without quoting, which is where these secrets travel. */
const visibleAscii = /^[\u0021-\u007e]+$/
/** No key is in quotes; a list that was cut apart may hold some. */
const inQuotes = /^["']|["']$/
const visibleAsciiInWords = 'visible ASCII characters without spaces'

/** A secret of one piece. Also read from the file that `<NAME>_FILE` names. */
export function secret<Optional extends boolean = false>(
  options: CommonOptions<string, Optional>,
): Setting<Given<string, Optional>> {
  return single(options, {
    parser: z.string().regex(visibleAscii),
    allowed: visibleAsciiInWords,
    secret: true,
    secretsIn: (value) => [value],
  })
}

/** A secret that people make up: with spaces, and in any script. Also read from the file that `<NAME>_FILE` names. */
export function secretText<Optional extends boolean = false>(
  options: CommonOptions<string, Optional>,
): Setting<Given<string, Optional>> {
  return single(options, {
    parser: z.string().regex(oneLine),
    allowed: 'text of one line',
    secret: true,
    secretsIn: (value) => [value],
  })
}

/** Secrets, separated by commas or line ends. Also read from the file that `<NAME>_FILE` names. */
export function secretList(options: CommonOptions<readonly string[], boolean>): Setting<readonly string[]> {
  const parser = z.string().transform((given, context): readonly string[] => {
    const items = itemsOf(given)
    const position = items.findIndex((item) => !visibleAscii.test(item) || inQuotes.test(item))
    if (position === -1) return items
    context.addIssue({ code: 'custom', message: `item ${position + 1} of ${items.length} is not valid`, input: given })
    return z.NEVER
  })
  return list(options, {
    parser,
    allowed: `comma-separated; each ${visibleAsciiInWords}`,
    secret: true,
    secretsIn: (values) => values,
  })
}

/**
 * Addresses and blocks, separated by commas; the words of `cidr-blocks.ts` stand for several. The settings hold blocks
 * only: `192.0.2.1` becomes `192.0.2.1/32`. The default may use the words too.
 */
export function cidrList(options: CommonOptions<readonly string[], boolean>): Setting<readonly string[]> {
  const parser = itemwise(cidrBlocks)
  const written = options.default
  return list(written ? { ...options, default: parser.parse(written.join(',')) } : options, {
    parser,
    allowed: 'comma-separated; each an address, a block (10.0.0.0/8, fd00::/8), loopback, linklocal or private',
    show: (blocks) => (written ?? blocks).join(','),
  })
}

/** What a program makes of text by rules of its own. */
export interface TextualOptions<Value> {
  /** Undefined for what is not allowed. */
  readonly read: (text: string) => Value | undefined
  /** What it takes, in words. */
  readonly allowed: string
  /** A value as a person would write it. */
  readonly show?: (value: Value) => string
}

/** Text that the program's own rules make something of. */
export function textual<Value, Optional extends boolean = false>(
  options: CommonOptions<NoInfer<Value>, Optional> & TextualOptions<Value>,
): Setting<Given<Value, Optional>> {
  const { read, allowed, show } = options
  const parser = z.string().transform((given, context) => {
    const value = read(given)
    if (value !== undefined) return value
    context.addIssue({ code: 'invalid_value', values: [], input: given })
    return z.NEVER
  })
  return single(options, { parser, allowed, ...(show && { show }) })
}

/** Such texts, separated by commas; `read` may make several values of one. Each value once, in the order given. */
export function textualList<Item extends string>(
  options: CommonOptions<readonly Item[], boolean> & Pick<TextualOptions<readonly Item[]>, 'read' | 'allowed'>,
): Setting<readonly Item[]> {
  return list(options, { parser: itemwise(options.read), allowed: `comma-separated; each ${options.allowed}` })
}

/** Each item by itself; all that are not allowed are named. */
function itemwise<Item>(read: (item: string) => readonly Item[] | undefined) {
  return z.string().transform((given, context): readonly Item[] => {
    const found = itemsOf(given).map((item) => ({ item, values: read(item) }))
    for (const { item, values } of found) {
      if (values) continue
      context.addIssue({ code: 'custom', message: `${quoted(item)} is not valid`, input: given })
    }
    return [...new Set(found.flatMap(({ values }) => values ?? []))]
  })
}

/** Trimmed, without the empty ones and repetitions, in the order given. */
function itemsOf(given: string): readonly string[] {
  const items = given.split(/[,\r\n]/).map((item) => item.trim())
  return [...new Set(items.filter((item) => item !== ''))]
}
