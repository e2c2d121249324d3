import { choice, flag, integer, milliseconds, path, secret, secretList, seconds } from '@ipfleet/settings/kinds.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { plainLogSettings } from '@ipfleet/settings/log-settings.ts'
import { redisSettings, redisUrl } from '@ipfleet/redis/redis-settings.ts'
import { serverSettings } from '@ipfleet/settings/server-settings.ts'
import type { SettingsOf } from '@ipfleet/settings/setting.ts'
import { providerList } from './upstream/chosen-providers.ts'
import { upstreamRules } from './upstream/upstream-rules.ts'
import { clientTokens } from '@ipfleet/rate-limit/clients/client-tokens.ts'

/** Everything that can be set, by the name of its environment variable. */
export const settingsSchema = {
  PROVIDER: providerList({
    group: 'Upstream',
    help: 'Who is asked: ipinfo, ipasis, or both. Answers are in IPinfo’s form whoever it is; what the provider has no answers to is a 501. The second is asked when the first is down or has no key left',
  }),
  IPINFO_KEYS: secretList({
    group: 'Upstream',
    optional: true,
    help: 'API keys that you are entitled to use together. Unset: answers come from the embedded database',
  }),
  KEYS_FILE: path({
    group: 'Upstream',
    optional: true,
    help: 'A file with more keys, one a line: TOKEN weight=2 group=acme products=core,privacy overage=never max_per_day=1000 provider=ipinfo. See “Keys, clients, providers”. Read again when it changes',
  }),
  IPINFO_BASE_URL: url({
    group: 'Upstream',
    protocols: ['https:', 'http:'],
    without: ['credentials', 'query'],
    default: 'https://ipinfo.io',
    help: 'The API that is asked',
  }),
  IPINFO_API_BASE_URL: url({
    group: 'Upstream',
    protocols: ['https:', 'http:'],
    without: ['credentials', 'query'],
    default: 'https://api.ipinfo.io',
    help: 'The host of the newer products: /lite, /lookup, /plus, /max, /resproxy',
  }),
  IPASIS_KEYS: secretList({
    group: 'Upstream',
    optional: true,
    help: 'API keys for PROVIDER=ipasis. Those of one provider are never sent to another',
  }),
  IPASIS_BASE_URL: url({
    group: 'Upstream',
    protocols: ['https:', 'http:'],
    without: ['credentials', 'query'],
    default: 'https://api.ipasis.com',
    help: 'The API that is asked with PROVIDER=ipasis',
  }),
  REQUEST_TIMEOUT_MS: milliseconds({
    group: 'Upstream',
    min: 1,
    default: 5000,
    help: 'Deadline for all that upstream does for one request, over all keys tried',
  }),
  UPSTREAM_CONCURRENCY: integer({
    group: 'Upstream',
    min: 1,
    max: 10_000,
    default: 128,
    help: 'Most upstream calls of this replica at a time; a quarter of it while a configured Redis is away',
  }),
  UPSTREAM_PROXY_URL: url({
    group: 'Upstream',
    protocols: ['http:'],
    without: ['path', 'query'],
    optional: true,
    help: 'A forward proxy, such as the egress, through which upstream is asked: http://user:password@host:port. Unset: it is asked directly',
  }),
  UPSTREAM_MAX_BODY_BYTES: integer({
    group: 'Upstream',
    min: 1024,
    default: 10_485_760,
    help: 'Upstream bodies over this are refused (502)',
  }),
  UPSTREAM_RULES: upstreamRules({
    group: 'Upstream',
    help: 'What statuses of upstream mean, before the built-in table: STATUS SAYS ACTION [of PRODUCT,…], separated by semicolons, or a file with one rule a line. See “What upstream’s refusals mean”',
  }),
  MICRO_BATCH_MS: milliseconds({
    group: 'Upstream',
    max: 1000,
    default: 0,
    help: 'How long a look-up waits for others, to leave with them as one upstream batch; 0: each is asked at once',
  }),
  BREAKER_FAILURE_PERCENT: integer({
    group: 'Breaker',
    min: 1,
    max: 99,
    default: 50,
    help: 'Upstream is given a pause when more than this share of the last calls failed',
  }),
  BREAKER_SLOW_MS: milliseconds({
    group: 'Breaker',
    default: 0,
    help: 'A call that takes longer is slow; 0: none is',
  }),
  BREAKER_SLOW_PERCENT: integer({
    group: 'Breaker',
    min: 1,
    max: 99,
    default: 80,
    help: 'The same when more than this share of the last calls were slow',
  }),
  BREAKER_WINDOW_CALLS: integer({
    group: 'Breaker',
    min: 1,
    max: 10_000,
    default: 50,
    help: 'How many of a replica’s last calls are judged',
  }),
  BREAKER_MIN_CALLS: integer({
    group: 'Breaker',
    min: 1,
    max: 10_000,
    default: 10,
    help: 'Fewer calls than this prove nothing',
  }),
  BREAKER_OPEN_SECONDS: seconds({
    group: 'Breaker',
    min: 0.1,
    default: 10,
    help: 'How long the fleet leaves upstream alone before one request of it tries again',
  }),
  COOLDOWN_SECONDS: seconds({
    group: 'Keys',
    min: 1,
    default: 60,
    help: 'How long a key is benched after a 429 without Retry-After; doubles for repeat offenders, up to an hour',
  }),
  QUARANTINE_SECONDS: seconds({
    group: 'Keys',
    min: 1,
    default: 600,
    help: 'How long a key is benched after upstream refused it (401, 403); doubles, up to a day',
  }),
  QUOTA_POLL_SECONDS: seconds({
    group: 'Keys',
    default: 300,
    help: 'How often /me is asked what each key has left, by one replica for all; 0: never',
  }),
  PLAN_PREFERENCE: choice(['richest', 'spread'], {
    group: 'Keys',
    default: 'richest',
    help: 'Where the plans of the keys differ in what a full record holds: richest asks the keys that hold most for it, and any key for fields that every plan has; spread asks all keys in turn for everything',
  }),
  REDACT_KEYS: flag({ group: 'Keys', default: true, help: 'Hide the token in answers of /me' }),
  CACHE_TTL_SECONDS: seconds({
    group: 'Cache',
    default: 300,
    help: 'How long an answer is served from memory (L1) before Redis, or without Redis upstream, is asked again',
  }),
  CACHE_MAX_ENTRIES: integer({
    group: 'Cache',
    min: 1,
    max: 10_000_000,
    default: 10_000,
    help: 'Most entries in memory',
  }),
  CACHE_MAX_BODY_BYTES: integer({
    group: 'Cache',
    min: 0,
    default: 32_768,
    help: 'Bodies over this are passed on but not cached',
  }),
  GEO_TTL_SECONDS: seconds({
    group: 'Cache',
    min: 1,
    default: 86_400,
    help: 'How long an answer about location or network is fresh in Redis (L2)',
  }),
  THREAT_TTL_SECONDS: seconds({
    group: 'Cache',
    min: 1,
    default: 14_400,
    help: 'How long an answer that holds privacy, abuse or proxy data is fresh in Redis (L2)',
  }),
  SHARED_CACHE_TTL_SECONDS: seconds({
    group: 'Cache',
    min: 1,
    optional: true,
    help: 'How long any answer is fresh in Redis (L2); overrides GEO_TTL_SECONDS and THREAT_TTL_SECONDS',
  }),
  NEGATIVE_TTL_SECONDS: seconds({
    group: 'Cache',
    default: 30,
    help: 'How long an answer of 400 or 404 is cached',
  }),
  FALLBACK_TTL_SECONDS: seconds({
    group: 'Cache',
    min: 1,
    default: 300,
    help: 'How long an answer of the second provider in PROVIDER is fresh',
  }),
  STALE_IF_ERROR_SECONDS: seconds({
    group: 'Cache',
    default: 86_400,
    help: 'How long past its freshness an answer is still served when upstream gives none',
  }),
  STALE_WHILE_REVALIDATE_SECONDS: seconds({
    group: 'Cache',
    default: 10,
    help: 'How long past its freshness an answer is served at once and refreshed in the background',
  }),
  FAILURE_MODE: choice(['closed', 'open'], {
    group: 'Cache',
    default: 'closed',
    help: 'When there is no answer, not even a stale one: closed answers 503, open answers from the embedded database',
  }),
  OFFLINE_DB: path({
    group: 'Cache',
    optional: true,
    help: 'An MMDB of your own as the embedded database, such as ipinfo_lite.mmdb; swapped in when the file changes. Unset: the bundled one, which knows countries only',
  }),
  REDIS_URL: redisUrl({
    group: 'Redis',
    optional: true,
    help: 'What replicas share: leases, key state, and answers unless REDIS_CACHE_URL is set. Unset: this replica is alone',
  }),
  REDIS_CACHE_URL: redisUrl({
    group: 'Redis',
    optional: true,
    help: 'A second Redis for answers, which may evict (allkeys-lfu). Unset: REDIS_URL',
  }),
  ...redisSettings(),
  CLIENT_TOKENS: clientTokens({
    group: 'Clients',
    help:
      'Tokens of the clients that may ask, where IPinfo takes its own (Bearer, Basic user name, ?token=), each with its ' +
      'budgets: requests, and units (questions put to upstream). Without a token 401, with another 403, over budget ' +
      '429. Probes, /metrics and /stats need none. Unset: everyone may ask, and what they send is dropped',
  }),
  EXHAUSTED_STATUS: choice(['503', '429'], {
    group: 'Clients',
    default: '503',
    help: 'What a look-up is answered that no key may ask now. 429 for clients whose SDK takes a 503 for a record and keeps it (Java 3.3.0, Ruby 2.6.0)',
  }),
  ...serverSettings(8080),
  BODIES_MAX_BYTES: integer({
    group: 'Server',
    min: 16_777_216,
    default: 50_331_648,
    help: 'Most bytes of request bodies, inflated, that are held at a time; one client has a quarter of it, or what one body may have (10 MB). Over it 429 for that client, 503 for all',
  }),
  BODY_IDLE_TIMEOUT_MS: milliseconds({
    group: 'Server',
    min: 1,
    default: 10_000,
    help: 'How long a request body may stop arriving before its request is refused (408)',
  }),
  ADMIN_TOKEN: secret({
    group: 'Server',
    optional: true,
    help: 'Bearer token for operations that change something (DELETE /cache). Unset: they are allowed from loopback only',
  }),
  DRAIN_MS: milliseconds({
    group: 'Server',
    default: 2000,
    help: 'On SIGTERM: how long /readyz fails before connections are closed. Longer than the load balancer’s check interval',
  }),
  ...plainLogSettings,
}

export type LookupSettings = SettingsOf<typeof settingsSchema>
