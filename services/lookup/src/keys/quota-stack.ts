import { monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import { offers } from '@ipfleet/upstream/providers/provider.ts'
import type { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { FleetQuotaClaims, LocalQuotaClaims } from './quota-claims.ts'
import { KeyCheck } from './key-check.ts'
import { KeyAdmin } from './key-admin.ts'
import { QuotaPoller } from './quota-poller.ts'
import { durationsOf, type LookupSettings } from '../settings.ts'

export interface QuotaStack {
  readonly admin: KeyAdmin
  /** Undefined when QUOTA_POLL_SECONDS is 0, and with a provider that has no `/me`. */
  readonly poller: QuotaPoller | undefined
}

const account: UpstreamRequest = { method: 'GET', surface: 'legacy', path: '/me', expected: 'json' }

const epochMs = (): number => Date.now()

/** Settles what a refusal is about. A provider without accounts never needs it. */
export function keyCheck({ REQUEST_TIMEOUT_MS }: LookupSettings, { redis }: Fleet, client: UpstreamClient): KeyCheck {
  return new KeyCheck({
    ask: ({ secret }) => client.ask(account, secret, monotonicClock.nowMs() + REQUEST_TIMEOUT_MS),
    link: redis?.state,
  })
}

export function quotaStack(
  settings: LookupSettings,
  { redis }: Fleet,
  {
    pool,
    client,
    pools,
  }: { readonly pool: KeyPool; readonly client: UpstreamClient; readonly pools: readonly KeyPool[] },
): QuotaStack {
  const timeoutMs = settings.REQUEST_TIMEOUT_MS
  const hasAccounts = offers(client.provider, account)
  const ask = ({ secret }: ApiKey) => client.ask(account, secret, monotonicClock.nowMs() + timeoutMs)
  const askOwn = async (key: ApiKey) => {
    // A key of one provider is never sent to another.
    if (!hasAccounts || !pool.keys.includes(key)) throw new ProxyError('not_offered')
    return ask(key)
  }
  const admin = new KeyAdmin({ ask: askOwn, pools, benchMs: durationsOf(settings).cooldownMs, epochMs })
  const everyMs = durationsOf(settings).quotaPollMs
  if (everyMs === 0 || !hasAccounts) return { admin, poller: undefined }
  const poller = new QuotaPoller({
    pool,
    ask,
    claims: redis ? new FleetQuotaClaims(redis.state) : new LocalQuotaClaims(),
    everyMs,
    settleMs: Math.min(timeoutMs, everyMs / 2),
    epochMs,
  })
  return { admin, poller }
}
