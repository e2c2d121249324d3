import { choice, integer, milliseconds, number, secret, seconds, text } from '@ipfleet/settings/kinds.ts'
import { plainLogSettings } from '@ipfleet/settings/log-settings.ts'
import { redisAddress } from '@ipfleet/redis/redis-address.ts'
import { redisAccessSettings, redisRules, redisSettings, redisUrl } from '@ipfleet/redis/redis-settings.ts'
import { serverSettings } from '@ipfleet/settings/server-settings.ts'
import { offlineRules, offlineSettings } from './offline/offline-settings.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import { grouped, type SettingsOf } from '@ipfleet/settings/setting.ts'
import { readKeysFile } from './keys/keys-file.ts'
import { reasonNot } from './operations/reason-not.ts'
import { upstreamSettings } from './upstream/upstream-settings.ts'
import { clientTokens } from '@ipfleet/rate-limit/clients/client-tokens.ts'
import { traceSettings } from '@ipfleet/telemetry/tracing/trace-settings.ts'

/** Everything that can be set, by the name of its environment variable. */
export const settingsSchema = {
  ...upstreamSettings,
  ...grouped('Cache', {
    CACHE_TTL_SECONDS: seconds({
      default: 300,
      help: 'How long an answer is served from memory (L1) before Redis, or without Redis upstream, is asked again',
    }),
    CACHE_MAX_ENTRIES: integer({ min: 1, max: 10_000_000, default: 10_000, help: 'Most entries in memory' }),
    CACHE_MAX_BODY_BYTES: integer({ min: 0, default: 32_768, help: 'Bodies over this are passed on but not cached' }),
    GEO_TTL_SECONDS: seconds({
      min: 1,
      default: 86_400,
      help: 'How long an answer about location or network is fresh in Redis (L2)',
    }),
    THREAT_TTL_SECONDS: seconds({
      min: 1,
      default: 14_400,
      help: 'How long an answer that holds privacy, abuse or proxy data is fresh in Redis (L2)',
    }),
    SHARED_CACHE_TTL_SECONDS: seconds({
      min: 1,
      optional: true,
      help: 'How long any answer is fresh in Redis (L2); overrides GEO_TTL_SECONDS and THREAT_TTL_SECONDS',
    }),
    NEGATIVE_TTL_SECONDS: seconds({ default: 30, help: 'How long an answer of 400 or 404 is cached' }),
    FALLBACK_TTL_SECONDS: seconds({
      min: 1,
      default: 300,
      help: 'How long an answer of the second provider in PROVIDER is fresh',
    }),
    STALE_IF_ERROR_SECONDS: seconds({
      default: 86_400,
      help: 'How long past its freshness an answer is still served when upstream gives none',
    }),
    STALE_WHILE_REVALIDATE_SECONDS: seconds({
      default: 10,
      help: 'How long past its freshness an answer is served at once and refreshed in the background',
    }),
    FAILURE_MODE: choice(['closed', 'open'], {
      default: 'closed',
      help: 'When there is no answer, not even a stale one: closed answers 503, open answers from the embedded database, though not to jobs, which wait',
    }),
  }),
  ...offlineSettings,
  REDIS_URL: redisUrl({
    optional: true,
    help: 'What replicas share: leases, key state, and answers unless REDIS_CACHE_URL is set. Unset: this replica is alone',
  }),
  ...redisSettings(),
  REDIS_CACHE_URL: redisUrl({
    optional: true,
    help: 'A second Redis for answers, which may evict (allkeys-lfu). Unset: REDIS_URL',
  }),
  ...redisAccessSettings('REDIS_CACHE'),
  ...grouped('Redis', {
    REDIS_READ_FROM: choice(['master', 'replicas'], {
      default: 'master',
      help: 'Which nodes of a Cluster answers are read from. Replicas may be a moment behind, and have room for reading that the master has not',
    }),
  }),
  ...grouped('Clients', {
    CLIENT_TOKENS: clientTokens({
      help:
        'Tokens of the clients that may ask, where IPinfo takes its own (Bearer, Basic user name, ?token=), each with its ' +
        'budgets: requests, and units (questions put to upstream). Without a token 401, with another 403, over budget ' +
        '429. Probes, /metrics and /stats need none. Unset: everyone may ask, and what they send is dropped',
    }),
    EXHAUSTED_STATUS: choice(['503', '429'], {
      default: '503',
      help: 'What a look-up is answered that no key may ask now. 429 for clients whose SDK takes a 503 for a record and keeps it (Java 3.3.0, Ruby 2.6.0)',
    }),
    TOOLS: choice(['local', 'upstream'], {
      default: 'local',
      help: 'Who sums lists up (POST /summarize, /tools/summarize-ips) and makes reports of them (/map, /tools/map). local: this fleet, by its records; addresses that it does not know yet are looked up. upstream: IPinfo, whose tools have five uses a day',
    }),
  }),
  ...serverSettings(8080),
  ...grouped('Server', {
    FAST_LANE: choice(['on', 'off'], {
      default: 'on',
      help: 'Plain requests for what is in memory are read and answered without node:http, for about half the CPU time; off has node:http read every request',
    }),
    BODIES_MAX_BYTES: integer({
      min: 16_777_216,
      default: 50_331_648,
      help: 'Most bytes of request bodies, inflated, that are held at a time; one client has a quarter of it, or what one body may have (10 MB). Over it 429 for that client, 503 for all',
    }),
    BODY_IDLE_TIMEOUT_MS: milliseconds({
      min: 1,
      default: 10_000,
      help: 'How long a request body may stop arriving before its request is refused (408)',
    }),
    ADMIN_TOKEN: secret({
      optional: true,
      help: 'Bearer token for operations that change something (DELETE /cache). Unset: they are allowed from loopback only',
    }),
  }),
  ...grouped('Console', {
    CONSOLE_READ_TOKEN: secret({
      optional: true,
      help: 'Token for `/console` that shows everything and changes nothing. ADMIN_TOKEN shows and changes; without a token the console opens on the replica’s own machine only, while ADMIN_TOKEN is unset',
    }),
    UNIT_PRICE: number({
      min: 0,
      max: 1000,
      optional: true,
      help: 'What an upstream unit costs, for the money that the console shows: 0.0005. Unset: none is shown',
    }),
    CURRENCY: text({
      pattern: /^[A-Z]{3}$/,
      allowed: 'three capital letters (ISO 4217)',
      default: 'USD',
      help: 'The currency of UNIT_PRICE',
    }),
  }),
  ...grouped('Server', {
    DRAIN_MS: milliseconds({
      default: 2000,
      help: 'On SIGTERM: how long /readyz fails before connections are closed. Longer than the load balancer’s check interval',
    }),
  }),
  ...plainLogSettings,
  ...traceSettings,
}

export type LookupSettings = SettingsOf<typeof settingsSchema>

export function durationsOf(settings: LookupSettings) {
  // A replica on its own keeps answers for CACHE_TTL_SECONDS, whatever they tell: memory is all it has.
  const ttlSeconds = settings.REDIS_URL === undefined ? settings.CACHE_TTL_SECONDS : settings.SHARED_CACHE_TTL_SECONDS
  return {
    /** What a request has begun upstream has ended by then. */
    requestEndMs: settings.REQUEST_TIMEOUT_MS + 1000,
    cooldownMs: settings.COOLDOWN_SECONDS * 1000,
    quarantineMs: settings.QUARANTINE_SECONDS * 1000,
    quotaPollMs: settings.QUOTA_POLL_SECONDS * 1000,
    breakerOpenMs: settings.BREAKER_OPEN_SECONDS * 1000,
    memoryTtlMs: settings.CACHE_TTL_SECONDS * 1000,
    geoTtlMs: (ttlSeconds ?? settings.GEO_TTL_SECONDS) * 1000,
    threatTtlMs: (ttlSeconds ?? settings.THREAT_TTL_SECONDS) * 1000,
    negativeTtlMs: settings.NEGATIVE_TTL_SECONDS * 1000,
    fallbackTtlMs: settings.FALLBACK_TTL_SECONDS * 1000,
    staleForMs: settings.STALE_IF_ERROR_SECONDS * 1000,
    revalidateForMs: settings.STALE_WHILE_REVALIDATE_SECONDS * 1000,
  }
}

/** What no setting can say by itself: whether the files that settings name can be used. */
export const settingsRules: readonly Rule<LookupSettings>[] = [
  ...redisRules('REDIS'),
  ...redisRules('REDIS_CACHE'),
  {
    about: ['REDIS_READ_FROM', 'REDIS_URL', 'REDIS_CACHE_URL'],
    fault: ({ REDIS_READ_FROM, REDIS_URL, REDIS_CACHE_URL: url = REDIS_URL }) =>
      REDIS_READ_FROM === 'master' || (url !== undefined && redisAddress(url).topology === 'cluster')
        ? undefined
        : 'replicas is for a Cluster: answers are in none (REDIS_CACHE_URL, or else REDIS_URL)',
  },
  { about: ['KEYS_FILE'], fault: ({ KEYS_FILE }) => reasonNot(KEYS_FILE, readKeysFile) },
  ...offlineRules,
]
