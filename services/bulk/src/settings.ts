import { clientTokens } from '@ipfleet/rate-limit/clients/client-tokens.ts'
import { choice, integer, milliseconds, secret, secretList, seconds } from '@ipfleet/settings/kinds.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { plainLogSettings } from '@ipfleet/settings/log-settings.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import { redisRules, redisSettings, redisUrl } from '@ipfleet/redis/redis-settings.ts'
import { serverSettings } from '@ipfleet/settings/server-settings.ts'
import { grouped, type SettingsOf } from '@ipfleet/settings/setting.ts'
import { resolverSetting } from '@ipfleet/net/dns-look-up.ts'
import { targetList } from '@ipfleet/net/target-list.ts'
import { WebhookSigner } from './webhooks/webhook-signer.ts'
import { traceSettings } from '@ipfleet/telemetry/tracing/trace-settings.ts'

const jobs = grouped('Jobs', {
  BULK_ROLE: choice(['all', 'api', 'worker'], {
    default: 'all',
    help: 'What this process does: take jobs and hand out results, look up, or both',
  }),
  RESULT_TTL_SECONDS: seconds({
    min: 1,
    max: 31_536_000,
    default: 86_400,
    help: 'How long a job and its results can be read after its end',
  }),
  BULK_MAX_STORED_BYTES: integer({
    min: 0,
    default: 1_073_741_824,
    help: 'What inputs and results of all jobs together may take in Redis, compressed: over it new jobs are refused (503) until older ones expire or are removed; 0: as much as Redis has',
  }),
  BULK_MAX_JOBS: integer({
    min: 1,
    max: 100_000,
    default: 10_000,
    help: 'Most jobs that are kept, those that are done too: with so many new ones are refused (503)',
  }),
  BULK_CLIENT_SHARE_PERCENT: integer({
    min: 1,
    max: 100,
    default: 50,
    help: 'What one client may have of everything that is bounded for all. A client is a token, or without CLIENT_TOKENS an address (of IPv6 a /64)',
  }),
  BULK_MAX_LINES: integer({ min: 1, default: 50_000_000, help: 'Most inputs of one job' }),
  BULK_UPLOAD_MEMORY_BYTES: integer({
    min: 1,
    default: 134_217_728,
    help: 'What lists that are coming in at a time may take of the memory of this process, each 1 MiB, and 8 MiB more with Zstandard, 16 MiB with Brotli: over it lists are refused (503)',
  }),
  BULK_MAX_DOWNLOADS: integer({
    min: 1,
    default: 128,
    help: 'How many answers with results this process sends at a time, those with follow=1 too; each may hold 1 MiB for a client that is slow. Over it requests are refused (503)',
  }),
  BULK_MAX_FOLLOWERS: integer({
    min: 1,
    default: 1000,
    help: 'How many may follow the events of jobs at this process at a time; more are refused (503)',
  }),
  BULK_MAX_BODY_BYTES: integer({
    min: 1,
    default: 4_294_967_296,
    help: 'Most bytes of one list, without its compression',
  }),
  BULK_MAX_INFLATION: integer({
    min: 1,
    default: 50,
    help: 'How many times its size a compressed list may inflate to, when it has over 4 MiB then',
  }),
  BULK_UPLOAD_TIMEOUT_SECONDS: seconds({
    min: 1,
    max: 86_400,
    default: 3600,
    help: 'How long a list may take to come in',
  }),
})

const lookups = grouped('Lookups', {
  LOOKUP_URL: url({
    protocols: ['http:', 'https:'],
    without: ['credentials', 'path', 'query'],
    default: 'http://127.0.0.1:8080',
    help: 'The fleet that is asked: a replica, a name that stands for all of them, or the edge',
  }),
  LOOKUP_TOKEN: secret({ optional: true, help: 'One of the fleet’s CLIENT_TOKENS, without budgets, if it has any' }),
  BULK_CONCURRENCY: integer({
    min: 1,
    max: 10_000,
    default: 50,
    help: 'Most batches under way at a time, over all workers; each takes as few of them as keep it as fast',
  }),
  BULK_MAX_RPS: integer({
    min: 0,
    max: 10_000_000,
    default: 0,
    help: 'Most addresses asked for in a second, over all workers; 0: no ceiling',
  }),
  LIVE_RESERVE_PERCENT: integer({
    min: 0,
    max: 99,
    default: 10,
    help: 'The part of each API key’s quota that jobs leave to live look-ups',
  }),
  BULK_LIVE_SHARE_PERCENT: integer({
    min: 1,
    max: 100,
    default: 33,
    help: 'While a replica has live look-ups, the share of the time in which this process may have a batch there: one at a time, and a rest after it; 100: no regard',
  }),
  LOOKUP_TIMEOUT_MS: milliseconds({
    min: 100,
    default: 30_000,
    help: 'How long a batch may take before it is tried again',
  }),
})

const webhook = grouped('Webhook', {
  WEBHOOK_SECRET: secretList({
    optional: true,
    help: 'What the calls of ?callback= are signed with, after Standard Webhooks: the base64 of 24 bytes or more, with or without whsec_ in front. With several each signs, so that they can be changed without a gap. Unset: no callbacks',
  }),
  ALLOW_TARGETS: targetList({
    help: 'Callbacks that may be private, or this machine itself. A name stands for all its addresses',
  }),
  DENY_TARGETS: targetList({ help: 'Callbacks that are refused, also when they are allowed' }),
  RESOLVER: resolverSetting,
})

const redis = {
  REDIS_URL: redisUrl({
    help: 'Where jobs, queue and results are: with noeviction and an append-only file, so that none are lost',
  }),
  ...redisSettings({ timeout: { default: 1000, help: 'Deadline of one Redis command' } }),
}

const server = {
  CLIENT_TOKENS: clientTokens({
    help: 'As the lookup replicas’: without a token 401, with another 403. Jobs belong to their token; what they ask upstream counts in its units. Unset: everyone may',
  }),
  ...serverSettings(8082),
  ...grouped('Server', {
    DRAIN_MS: milliseconds({
      default: 5000,
      help: 'On SIGTERM: how long chunks under way may take before they are handed back, and how long /readyz fails before connections are closed',
    }),
  }),
}

/** All that can be set, by the name of its environment variable. */
export const settingsSchema = {
  ...jobs,
  ...lookups,
  ...webhook,
  ...redis,
  ...server,
  ...plainLogSettings,
  ...traceSettings,
}

export type BulkSettings = SettingsOf<typeof settingsSchema>

/** What no setting can say by itself. */
export const settingsRules: readonly Rule<BulkSettings>[] = [
  ...redisRules('REDIS'),
  {
    about: ['WEBHOOK_SECRET'],
    fault: ({ WEBHOOK_SECRET: secrets }) => {
      try {
        void new WebhookSigner(secrets)
        return undefined
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },
  },
]
