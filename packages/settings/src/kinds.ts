/** The kinds of settings: each turns text into a value and says in words what it allows. */

import { z } from 'zod'
import { cidrBlocks } from './cidr-blocks.ts'
import { type CommonOptions, type Given, list, quoted, type Setting, single } from './setting.ts'

export interface RangeOptions {
  readonly min?: number
  readonly max?: number
}

const secondsInYear = 31_536_000
/** Longest delay of a Node timer; above it the timer fires at once (Node documentation, `setTimeout`). */
export const maxTimerMs = 2_147_483_647

/** Makes a setting with one value: `undefined` when it is optional and unset. */
type Kind<Value, Extra = unknown> = <Optional extends boolean = false>(
  options: CommonOptions<Value, Optional> & Extra,
) => Setting<Given<Value, Optional>>

/** A whole number, decimal digits only. */
export const integer: Kind<number, RangeOptions> = (options) =>
  single(options, numeric(options, 'a whole number', /^-?\d+$/))

/** A decimal number such as `0.25`; no exponents. */
export const number: Kind<number, RangeOptions> = (options) =>
  single(options, numeric(options, 'a number', /^-?\d+(\.\d+)?$/))

/** A duration in seconds, fractions allowed; 0 to one year unless said otherwise. */
export const seconds: Kind<number, RangeOptions> = (options) =>
  single(options, numeric({ min: 0, max: secondsInYear, ...options }, 'seconds', /^\d+(\.\d+)?$/))

/** A duration in whole milliseconds; 0 to the longest delay of a timer (24.8 days) unless said otherwise. */
export const milliseconds: Kind<number, RangeOptions> = (options) =>
  single(options, numeric({ min: 0, max: maxTimerMs, ...options }, 'whole milliseconds', /^\d+$/))

function numeric({ min = -Infinity, max = Infinity }: RangeOptions, noun: string, form: RegExp) {
  const range = z.number().min(min).max(max)
  return {
    // Beyond 2^53 digits are lost on the way to a number: such text was never meant.
    parser: z.string().regex(form).transform(Number).pipe(range.max(Number.MAX_SAFE_INTEGER)),
    allowed: `${noun}${rangeInWords(min, max)}`,
  }
}

/** To be put after a noun: ` from 1 to 10`, ` from 1`, ` up to 10` or nothing. */
export function rangeInWords(min: number, max: number): string {
  if (min === -Infinity) return max === Infinity ? '' : ` up to ${max}`
  return max === Infinity ? ` from ${min}` : ` from ${min} to ${max}`
}

/** `true` or `false`, in the spellings that operators use. */
export const flag: Kind<boolean> = (options) =>
  single(options, {
    parser: z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] }),
    allowed: 'true or false (also 1/0, yes/no, on/off)',
  })

/** One of the given words; letter case does not matter. */
export function choice<const Word extends string, Optional extends boolean = false>(
  words: readonly Word[],
  options: CommonOptions<NoInfer<Word>, Optional>,
): Setting<Given<Word, Optional>> {
  const byLowerCase = new Map(words.map((word) => [word.toLowerCase(), word]))
  const read = (given: string): Word | undefined => byLowerCase.get(given.toLowerCase())
  return textual<Word, Optional>({ ...options, read, allowed: words.join(' or ') })
}

/** Text of one line; `pattern` narrows it and `allowed` then says to what. */
export const text: Kind<string, { readonly pattern?: RegExp; readonly allowed?: string }> = (options) =>
  single(options, {
    parser: z
      .string()
      .regex(oneLine)
      .regex(options.pattern ?? oneLine),
    allowed: options.allowed ?? 'text of one line',
  })

// eslint-disable-next-line no-control-regex -- control characters are what it refuses
const oneLine = /^[^\u0000-\u001f\u007f]*$/

/** A path in the file system, as given: relative ones start at the working directory. */
export const path: Kind<string> = (options) => single(options, { parser: z.string().regex(oneLine), allowed: 'a path' })

/** What HTTP header fields can carry without quoting, which is where these secrets travel. */
const visibleAscii = /^[\u0021-\u007e]+$/
/** No key is in quotes; a list that was cut apart may hold some. */
const inQuotes = /^["']|["']$/
const visibleAsciiInWords = 'visible ASCII characters without spaces'

const secretOf =
  (form: RegExp, allowed: string): Kind<string> =>
  (options) =>
    single(options, { parser: z.string().regex(form), allowed, secret: true, secretsIn: (value) => [value] })

/** A secret of one piece. Also read from the file that `<NAME>_FILE` names. */
export const secret = secretOf(visibleAscii, visibleAsciiInWords)

/** A secret that people make up: with spaces, and in any script. Also read from the file that `<NAME>_FILE` names. */
export const secretText = secretOf(oneLine, 'text of one line')

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

interface ListOfTexts<Item> extends Pick<TextualOptions<readonly Item[]>, 'read' | 'allowed'> {
  /** What of the values must never be shown. Not given: nothing, and it is no secret. */
  readonly secretsIn?: (items: readonly Item[]) => readonly string[]
}

/** Such texts, separated by commas; `read` may make several values of one. Each value once, in the order given. */
export function textualList<Item extends string>(
  options: CommonOptions<readonly Item[], boolean> & ListOfTexts<Item>,
): Setting<readonly Item[]> {
  const { read, allowed, secretsIn } = options
  const kind = { parser: itemwise(read), allowed: `comma-separated; each ${allowed}` }
  return list(options, secretsIn === undefined ? kind : { ...kind, secret: true, secretsIn })
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
