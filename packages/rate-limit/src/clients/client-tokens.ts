import { hash } from 'node:crypto'
import type { SlidingWindow } from '../policy.ts'
import { secretList } from '@ipfleet/settings/kinds.ts'
import type { Setting } from '@ipfleet/settings/setting.ts'

/** A client that may ask, and how much. */
export interface ClientToken {
  readonly secret: string
  /** The operator's name for it; what Redis and metrics know is the id. */
  readonly name?: string
  readonly requests?: SlidingWindow
  /** Budget of upstream units: one for each question that the client's requests put to upstream. */
  readonly units?: SlidingWindow
}

/** In milliseconds. A month is 30 days, and every budget a sliding window: no midnight at which all begin anew. */
const periodsMs: ReadonlyMap<string, number> = new Map([
  ['second', 1000],
  ['minute', 60_000],
  ['hour', 3_600_000],
  ['day', 86_400_000],
  ['month', 30 * 86_400_000],
])

/** Shorter ones can be guessed. */
const minTokenLength = 8

const grammar =
  `comma-separated; each [name=]token[;requests=N/PERIOD][;units=N/PERIOD], the token of at least ` +
  `${minTokenLength} characters, PERIOD one of ${[...periodsMs.keys()].join(', ')}`

/**
 * The setting `CLIENT_TOKENS`: `token`, or `name=token;requests=1000/hour;units=100000/month`, separated by commas or
 * line ends. Also read from the file that `CLIENT_TOKENS_FILE` names.
 */
export function clientTokens(options: { readonly help: string }): Setting<readonly ClientToken[]> {
  const entries = secretList({ ...options, optional: true })
  const parser = entries.parser.transform((items, context): readonly ClientToken[] => {
    const read = items.map(readEntry)
    for (const [index, one] of read.entries()) {
      if (typeof one !== 'string') continue
      context.addIssue({ code: 'custom', message: `item ${index + 1} of ${items.length} ${one}`, input: undefined })
    }
    const tokens = read.filter((one) => typeof one !== 'string')
    if (new Set(tokens.map(({ secret }) => secret)).size < tokens.length) {
      context.addIssue({ code: 'custom', message: 'a token is given twice', input: undefined })
    }
    return tokens
  })
  return {
    ...entries,
    parser,
    presence: { kind: 'optional', value: [] },
    group: 'Clients',
    allowed: grammar,
    show: () => '',
    secretsIn: (tokens) => tokens.map(({ secret }) => secret),
  }
}

/** The token, or what is wrong with the entry, in words that do not hold it. */
function readEntry(entry: string): ClientToken | string {
  const [first = '', ...budgets] = entry.split(';')
  // The `=` that base64 ends in begins no token.
  const { name, secret = '' } = /^(?:(?<name>[A-Za-z][\w.-]{0,31})=(?!=*$))?(?<secret>.*)$/.exec(first)?.groups ?? {}
  if (secret.length < minTokenLength) return `has a token of under ${minTokenLength} characters`
  const token: { -readonly [Part in keyof ClientToken]: ClientToken[Part] } = { secret, ...(name && { name }) }
  for (const budget of budgets) {
    const [, what, count = '', period = ''] = /^(requests|units)=([1-9]\d{0,14})\/([a-z]+)$/.exec(budget) ?? []
    const windowMs = periodsMs.get(period)
    if ((what !== 'requests' && what !== 'units') || windowMs === undefined)
      return 'has a budget that is not understood'
    if (token[what]) return `has two budgets of ${what}`
    token[what] = { kind: 'sliding-window', limit: Number(count), windowMs }
  }
  return token
}

/** The hash that stands for a token: what Redis knows it by, and what tokens are compared by. */
export function clientId(secret: string): string {
  return hash('sha256', secret, 'base64url').slice(0, 22)
}
