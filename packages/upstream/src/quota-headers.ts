import type { IncomingHttpHeaders } from 'node:http'
import type { ReplyQuota } from './reply.ts'
import { sentAtMs } from './retry-time.ts'

/** From here on a number of seconds is a moment since 1970 (2001, to be exact), and of milliseconds from 1e12 on. */
const epochFromSeconds = 1e9
const epochFromMs = 1e12

/**
 * What a reply's fields say of the key's quota. Undefined when they say nothing that makes sense. Several providers'
 * habits, the standard one first; where several windows are told, the one with the least left.
 */
export function quotaOf(headers: IncomingHttpHeaders, wallClockMs = Date.now()): ReplyQuota | undefined {
  const field = (name: string): string | undefined => {
    const value = headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
  const resetOf = (name: string): number | undefined => {
    const value = numberOf(field(name))
    return value === undefined ? undefined : resetSeconds(value, sentAtMs(headers, wallClockMs))
  }
  const triple = (prefix: string): ReplyQuota | undefined =>
    quota(numberOf(field(`${prefix}remaining`)), numberOf(field(`${prefix}limit`)), resetOf(`${prefix}reset`))
  return (
    ietfQuota(field('ratelimit'), field('ratelimit-policy')) ??
    // The draft up to version 6 had three fields.
    triple('ratelimit-') ??
    triple('x-ratelimit-') ??
    // ip-api.com
    quota(numberOf(field('x-rl')), undefined, resetOf('x-ttl'))
  )
}

function quota(remaining: number | undefined, limit?: number, reset?: number): ReplyQuota | undefined {
  if (remaining === undefined) return undefined
  return {
    remaining,
    ...(limit !== undefined && { limit }),
    ...(reset !== undefined && { resetSeconds: reset }),
  }
}

/**
 * draft-ietf-httpapi-ratelimit-headers: `RateLimit: "burst";r=9;t=3, "day";r=50;t=1000` with the limits in
 * `RateLimit-Policy: "burst";q=10;w=5`, and as version 7 had it: `RateLimit: limit=10, remaining=9, reset=3`.
 */
function ietfQuota(rateLimit: string | undefined, policies: string | undefined): ReplyQuota | undefined {
  if (rateLimit === undefined) return undefined
  const old = new Map(itemsOf(rateLimit).map((item) => pairOf(item[0] ?? '')))
  const version7 = quota(numberOf(old.get('remaining')), numberOf(old.get('limit')), numberOf(old.get('reset')))
  if (version7) return version7
  const policyOf = new Map(
    itemsOf(policies ?? '').map(([name = '', ...parameters]) => [name, new Map(parameters.map(pairOf))]),
  )
  const windows = itemsOf(rateLimit).flatMap(([name = '', ...parameters]): ReplyQuota[] => {
    const policy = policyOf.get(name)
    // Bytes or concurrent requests are no budget of units.
    const counted = policy?.get('qu') ?? '"requests"'
    const said = new Map(parameters.map(pairOf))
    const window = quota(numberOf(said.get('r')), numberOf(policy?.get('q')), numberOf(said.get('t')))
    return window && counted === '"requests"' ? [window] : []
  })
  return windows.toSorted((a, b) => a.remaining - b.remaining)[0]
}

/** The members of a structured list (RFC 9651), each as its value and its parameters. Commas in names are respected. */
function itemsOf(list: string): string[][] {
  return splitOutsideQuotes(list, ',').map((item) => splitOutsideQuotes(item, ';'))
}

function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const parts = text.match(separator === ',' ? /(?:"[^"]*"|[^",])+/g : /(?:"[^"]*"|[^";])+/g) ?? []
  return parts.map((part) => part.trim())
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return at === -1 ? [text.toLowerCase(), ''] : [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()]
}

/** A number of no more digits than can be exact. `100, 100;w=60`, of an older draft, is its first number. */
function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const digits = /^\s*(\d{1,15})(?:\.\d+)?\s*(?:[,;].*)?$/.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Some send the seconds that are left, some the moment. */
function resetSeconds(value: number, epochMs: number): number {
  if (value < epochFromSeconds) return value
  const atMs = value < epochFromMs ? value * 1000 : value
  return Math.max(0, Math.ceil((atMs - epochMs) / 1000))
}
