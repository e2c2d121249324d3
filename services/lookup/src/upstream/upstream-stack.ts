import { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { SecretScrubber } from '@ipfleet/telemetry/secret-scrubber.ts'
import { offers, type Provider, type ProviderName } from '@ipfleet/upstream/providers/provider.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import type { BreakerSettings } from '@ipfleet/upstream/fleet-breaker.ts'
import { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import { BatchLoader } from './batch-loader.ts'
import { type ChosenProvider, chosenProviders } from './chosen-providers.ts'
import { FallbackUpstream } from './fallback-upstream.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { freshForMs, type FreshnessRules } from './freshness.ts'
import { MicroBatcher } from './micro-batcher.ts'
import { KeySource } from '../keys/key-source.ts'
import { keyCheck, type QuotaStack, quotaStack } from '../keys/quota-stack.ts'
import { durationsOf, type LookupSettings } from '../settings.ts'
import { type Query, requestOf } from '../query/query.ts'
import type { Upstream } from './upstream.ts'
import { UpstreamLoader } from './upstream-loader.ts'

/** One provider, with its keys. */
interface ProviderStack {
  readonly name: ProviderName
  readonly provider: Provider
  readonly keys: KeySource
  readonly pool: KeyPool
  readonly client: UpstreamClient
  readonly gate: UpstreamGate
  readonly loader: UpstreamLoader
}

/** The way to upstream; there is none without keys. */
export interface UpstreamStack extends Omit<ProviderStack, 'loader' | 'provider' | 'name'> {
  readonly loader: Upstream
  readonly batchLoader: BatchLoader
  /** Undefined unless single queries are to leave together. */
  readonly microBatcher: MicroBatcher | undefined
  readonly quota: QuotaStack
  /** The keys of all providers. */
  readonly pools: readonly KeyPool[]
  /** The first, and the one that stands in for it if there is one. */
  readonly providers: readonly ProviderStack[]
}

type FreshFor = (path: string, answer: UpstreamAnswer, mayThreaten?: boolean) => number

/** @throws KeysFileError */
export function upstreamStack(settings: LookupSettings, fleet: Fleet, logger: Logger): UpstreamStack | undefined {
  const rules: FreshnessRules = { ...durationsOf(settings), maxBodyBytes: settings.CACHE_MAX_BODY_BYTES }
  const freshFor: FreshFor = (path, answer, mayThreaten) => freshForMs(rules, path, answer, mayThreaten)
  const chosen = chosenProviders(settings)
  const keysOf = ({ name, keysSetting }: ChosenProvider): KeySource =>
    new KeySource(
      {
        listed: settings[keysSetting],
        path: settings.KEYS_FILE,
        // Lines that do not say whose key it is are the first provider's.
        isOurs: ({ provider = chosen.first.name }) => provider === name,
      },
      logger,
    )
  const partsOf = (one: ChosenProvider, mayGetKeys: boolean): ProviderStack | undefined => {
    const keys = keysOf(one)
    if (keys.keys.length === 0 && !mayGetKeys) return undefined
    return providerStack(settings, fleet, { chosen: one, keys, freshFor })
  }
  const first = partsOf(chosen.first, false)
  // KEYS_FILE may name keys of the second later.
  const second = chosen.second && partsOf(chosen.second, first !== undefined && settings.KEYS_FILE !== undefined)
  const leading = first ?? second
  return leading && fleetUpstream(settings, fleet, { first: leading, second: first && second, freshFor })
}

function providerStack(
  settings: LookupSettings,
  fleet: Fleet,
  {
    chosen,
    keys,
    freshFor,
  }: { readonly chosen: ChosenProvider; readonly keys: KeySource; readonly freshFor: FreshFor },
): ProviderStack {
  const { name, provider } = chosen
  const concurrency = settings.UPSTREAM_CONCURRENCY
  const { cooldownMs, quarantineMs } = durationsOf(settings)
  const pool = new KeyPool(keys.keys, fleet.keyStore, {
    cooldownMs,
    quarantineMs,
  })
  const client = new UpstreamClient({
    provider,
    userAgent: 'ipfleet',
    maxBodyBytes: settings.UPSTREAM_MAX_BODY_BYTES,
    maxSockets: concurrency,
    proxyUrl: settings.UPSTREAM_PROXY_URL,
  })
  const gate = new UpstreamGate({
    breaker: breakerSettings(settings),
    shared: { of: (product) => fleet.breakerStates.of(`${name}/${product}`) },
    concurrency,
    isAlone: () => fleet.redis !== undefined && !fleet.redis.state.up,
  })
  const loader = new UpstreamLoader({
    pool,
    client,
    gate,
    check: keyCheck(settings, fleet, client),
    prefersRichest: settings.PLAN_PREFERENCE === 'richest',
    maxPauseMs: cooldownMs,
    freshForMs: freshFor,
    redact: settings.REDACT_KEYS ? keyRedaction(pool) : (text) => text,
  })
  return { name, provider, keys, pool, client, gate, loader }
}

function fleetUpstream(
  settings: LookupSettings,
  fleet: Fleet,
  { first, second, freshFor }: { first: ProviderStack; second: ProviderStack | undefined; freshFor: FreshFor },
): UpstreamStack {
  const { provider, pool, keys, client, gate, loader: own } = first
  const fallback =
    second &&
    new FallbackUpstream({
      first: own,
      second: second.loader,
      offers: (request) => second.pool.size > 0 && offers(second.provider, request),
      freshForMs: durationsOf(settings).fallbackTtlMs,
    })
  const loader = fallback ?? own
  const { takesBatches } = provider
  const productOf = (query: Query): string => provider.productOf(requestOf(query)).name
  const batchLoader = new BatchLoader({
    upstream: own,
    ...(fallback && { fallback }),
    freshForMs: freshFor,
    productOf,
    takesBatches,
  })
  const windowMs = takesBatches ? settings.MICRO_BATCH_MS : 0
  const microBatcher = windowMs > 0 ? new MicroBatcher({ windowMs, loader: batchLoader, upstream: loader }) : undefined
  const providers = second ? [first, second] : [first]
  const pools = providers.map((one) => one.pool)
  const quota = quotaStack(settings, fleet, { pool, client, pools })
  return { pool, keys, client, gate, loader, batchLoader, microBatcher, quota, pools, providers }
}

/** Keys that come with a later KEYS_FILE are struck out too; those that have gone still are. */
function keyRedaction(pool: KeyPool): (text: string) => string {
  const scrubber = new SecretScrubber(pool.keys.map(({ secret }) => secret))
  pool.on('replaced', () => scrubber.add(pool.keys.map(({ secret }) => secret)))
  return (text) => scrubber.scrub(text)
}

function breakerSettings(settings: LookupSettings): BreakerSettings {
  return {
    failureShare: settings.BREAKER_FAILURE_PERCENT / 100,
    slowShare: settings.BREAKER_SLOW_PERCENT / 100,
    slowMs: settings.BREAKER_SLOW_MS,
    window: settings.BREAKER_WINDOW_CALLS,
    minCalls: settings.BREAKER_MIN_CALLS,
    openMs: durationsOf(settings).breakerOpenMs,
    probeMs: durationsOf(settings).requestEndMs,
  }
}
