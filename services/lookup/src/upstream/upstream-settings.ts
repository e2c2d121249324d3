import { readFileSync } from 'node:fs'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { choice, flag, integer, milliseconds, path, secretList, seconds, text } from '@ipfleet/settings/kinds.ts'
import { grouped, type Setting } from '@ipfleet/settings/setting.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { ipinfoProducts } from '@ipfleet/upstream/providers/ipinfo-products.ts'
import { type ProviderName, providerNames } from '@ipfleet/upstream/providers/provider.ts'
import type { Rule } from '@ipfleet/upstream/rules.ts'
import { keyFault } from '../keys/key-fault.ts'
import { parseRules, RulesError } from '@ipfleet/upstream/rules-text.ts'

const products = ipinfoProducts.map(({ name }) => name)

/** Who is asked, with which keys, and when that is paused. */
export const upstreamSettings = {
  ...grouped('Upstream', {
    PROVIDER: providerList({
      help: 'Who is asked: ipinfo, ipasis, or both. Answers are in IPinfo’s form in each case; what the provider has no answers to is a 501. The second is asked when the first is down or has no key left',
    }),
    IPINFO_KEYS: keyList({
      help: 'API keys that you are entitled to use together. Unset: answers come from the embedded database',
    }),
    KEYS_FILE: path({
      optional: true,
      help: 'A file with more keys, one a line: TOKEN weight=2 group=acme products=core,privacy overage=never max_per_day=1000 provider=ipinfo. See “Keys, clients, providers”. Read again when it changes',
    }),
    IPINFO_BASE_URL: url({
      protocols: ['https:', 'http:'],
      without: ['credentials', 'query'],
      default: 'https://ipinfo.io',
      help: 'The API that is asked',
    }),
    IPINFO_API_BASE_URL: url({
      protocols: ['https:', 'http:'],
      without: ['credentials', 'query'],
      default: 'https://api.ipinfo.io',
      help: 'The host of the newer products: /lite, /lookup, /plus, /max, /resproxy',
    }),
    IPASIS_KEYS: keyList({
      help: 'API keys for PROVIDER=ipasis. Those of one provider are never sent to another',
    }),
    IPASIS_BASE_URL: url({
      protocols: ['https:', 'http:'],
      without: ['credentials', 'query'],
      default: 'https://api.ipasis.com',
      help: 'The API that is asked with PROVIDER=ipasis',
    }),
    REQUEST_TIMEOUT_MS: milliseconds({
      min: 1,
      default: 5000,
      help: 'Deadline for all that upstream does for one request, over all keys tried',
    }),
    UPSTREAM_CONCURRENCY: integer({
      min: 1,
      max: 10_000,
      default: 128,
      help: 'Most upstream calls of this replica at a time; a quarter of it while a configured Redis is away',
    }),
    UPSTREAM_PROXY_URL: url({
      protocols: ['http:'],
      without: ['path', 'query'],
      optional: true,
      fromFile: true,
      help: 'A forward proxy, such as the egress, through which upstream is asked: http://user:password@host:port. Unset: it is asked directly',
    }),
    UPSTREAM_MAX_BODY_BYTES: integer({
      min: 1024,
      default: 10_485_760,
      help: 'Upstream bodies over this are refused (502)',
    }),
    UPSTREAM_RULES: upstreamRules({
      help: 'What statuses of upstream mean, before the built-in table: STATUS SAYS ACTION [of PRODUCT,…], separated by semicolons, or a file with one rule a line. See “What upstream’s refusals mean”',
    }),
    MICRO_BATCH_MS: milliseconds({
      max: 1000,
      default: 0,
      help: 'How long a look-up waits for others, to leave with them as one upstream batch; 0: each is asked at once',
    }),
  }),
  ...grouped('Breaker', {
    BREAKER_FAILURE_PERCENT: integer({
      min: 1,
      max: 99,
      default: 50,
      help: 'Upstream is given a pause when more than this share of the last calls failed',
    }),
    BREAKER_SLOW_MS: milliseconds({ default: 0, help: 'A call that takes longer is slow; 0: none is' }),
    BREAKER_SLOW_PERCENT: integer({
      min: 1,
      max: 99,
      default: 80,
      help: 'The same when more than this share of the last calls were slow',
    }),
    BREAKER_WINDOW_CALLS: integer({
      min: 1,
      max: 10_000,
      default: 50,
      help: 'How many of a replica’s last calls are judged',
    }),
    BREAKER_MIN_CALLS: integer({ min: 1, max: 10_000, default: 10, help: 'Fewer calls than this prove nothing' }),
    BREAKER_OPEN_SECONDS: seconds({
      min: 0.1,
      default: 10,
      help: 'How long the fleet leaves upstream alone before one request of it tries again',
    }),
  }),
  ...grouped('Keys', {
    COOLDOWN_SECONDS: seconds({
      min: 1,
      default: 60,
      help: 'How long a key is benched after a 429 without Retry-After; doubles for repeat offenders, up to an hour',
    }),
    QUARANTINE_SECONDS: seconds({
      min: 1,
      default: 600,
      help: 'How long a key is benched after upstream refused it (401, 403); doubles, up to a day',
    }),
    QUOTA_POLL_SECONDS: seconds({
      default: 300,
      help: 'How often /me is asked what each key has left, by one replica for all; 0: never',
    }),
    PLAN_PREFERENCE: choice(['richest', 'spread'], {
      default: 'richest',
      help: 'Where the plans of the keys differ in what a full record holds: richest asks the keys that hold most for it, and any key for fields that every plan has; spread asks all keys in turn for everything',
    }),
    REDACT_KEYS: flag({ default: true, help: 'Hide the token in answers of /me' }),
  }),
}

/** API keys, none of which is what only looks like one. */
function keyList(options: { readonly help: string }): Setting<readonly string[]> {
  const given = secretList({ ...options, optional: true })
  const parser = given.parser.superRefine((keys, context) => {
    for (const [index, key] of keys.entries()) {
      const fault = keyFault(key)
      if (fault === undefined) continue
      context.addIssue({ code: 'custom', message: `item ${index + 1} of ${keys.length}: ${fault}`, input: undefined })
    }
  })
  return { ...given, parser }
}

/** The setting `PROVIDER`: one name, or two, of which the second stands in for the first. */
function providerList(options: { readonly help: string }): Setting<readonly ProviderName[]> {
  const allowed = `${providerNames.join(' or ')}, or both with a comma`
  const given = text({ ...options, default: '', allowed })
  const parser = given.parser.transform((value, context): readonly ProviderName[] => {
    const words = value.split(',').map((word) => word.trim().toLowerCase())
    const names = words.flatMap((word) => providerNames.filter((name) => name === word))
    if (names.length === words.length && new Set(names).size === names.length) return names
    context.addIssue({ code: 'invalid_value', values: [...providerNames], input: value })
    return []
  })
  return {
    ...given,
    parser,
    presence: { kind: 'default', value: ['ipinfo'] },
    show: (names) => names.join(','),
    secretsIn: () => [],
  }
}

/** The setting `UPSTREAM_RULES`: rules as text, which begin with a status, or the path of a file of them. */
function upstreamRules(options: { readonly help: string }): Setting<readonly Rule[]> {
  const given = text({ ...options, optional: true })
  const parser = given.parser.transform((value = '', context): readonly Rule[] => {
    try {
      return parseRules(/^(?:\d|any\b)/.test(value) ? value : readFileSync(value, 'utf8'), products)
    } catch (error) {
      context.addIssue({ code: 'custom', message: reasonOf(error), input: undefined })
      return []
    }
  })
  const presence = { kind: 'optional', value: [] } as const
  return { ...given, parser, presence, allowed: 'rules, or a path', show: () => '', secretsIn: () => [] }
}

function reasonOf(error: unknown): string {
  if (error instanceof RulesError) return error.message
  return `the file cannot be read (${errorCode(error) ?? 'unknown'}); rules given as they are begin with a status`
}
