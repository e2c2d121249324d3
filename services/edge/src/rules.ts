import type { Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import type { LinkHealth } from '@ipfleet/redis/link-health.ts'
import { requestGuard } from '@ipfleet/http-server/request-guard.ts'
import type { Rules } from './app.ts'
import type { AccessConfig, EdgeConfig } from './config/edge-config.ts'
import type { ClientShares } from './limits/client-shares.ts'
import type { ClientLimiter } from './limits/client-limiter.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import { OwnEndpoints } from './own-endpoints.ts'
import type { AttemptsRecord } from './proxy/attempts-record.ts'
import type { HedgeWatch } from './proxy/hedge-watch.ts'
import type { StallWatch } from '@ipfleet/proxy/relay/stall-watch.ts'
import { h2Guard } from './server/h2-guard.ts'
import { HiddenPaths } from './proxy/hidden-paths.ts'
import type { RetryBudget } from './proxy/retry-budget.ts'
import { Routes } from './proxy/routes.ts'
import type { Groups } from './backends/upstream-groups.ts'

/** What outlives a configuration. */
export interface Ground {
  readonly limiter: ClientLimiter | undefined
  readonly shares: ClientShares
  readonly groups: Groups
  readonly hedges: HedgeWatch
  readonly tunnels: Tunnels
  readonly stalls: StallWatch
  readonly budget: RetryBudget
  readonly record: AttemptsRecord
  readonly metricsPage: (format: ExpositionFormat) => Promise<Exposition>
  readonly isReady: () => boolean
  /** Undefined without Redis. */
  readonly redis: () => LinkHealth | undefined
}

/** The rules that a configuration makes. */
export function makeRules(config: EdgeConfig, ground: Ground): Rules {
  const { server, metrics, retry } = config
  const maxTargetLength = server.maxTargetBytes
  const h1Fault = requestGuard({ maxTargetLength })
  const h2Fault = h2Guard({ maxTargetLength })
  return {
    faultOf: (req) => (req.httpVersionMajor === 2 ? h2Fault(req) : h1Fault(req)),
    isDenied: denied(config.access),
    endpoints: new OwnEndpoints({
      metricsPath: metrics.enabled ? metrics.endpoint : undefined,
      mayReadMetrics: addressBlocks(metrics.allow),
      metricsPage: ground.metricsPage,
      probePath: server.probeEndpoint === '' ? undefined : server.probeEndpoint,
      isReady: ground.isReady,
      redis: ground.redis,
    }),
    hiddenPaths: new HiddenPaths(server.hiddenPaths),
    limiter: ground.limiter,
    routes: new Routes(config.routes),
    shares: ground.shares,
    groups: ground.groups,
    maxBodyBytes: server.maxBodyBytes,
    hedgeAfterMs: retry.hedgeAfterMs,
    forward: {
      tunnels: ground.tunnels,
      uploads: server,
      shares: ground.shares,
      bodyBufferBytes: server.bodyBufferBytes,
      stalls: ground.stalls,
      budget: ground.budget,
      record: ground.record,
      attempts: retry.attempts,
      hedges: ground.hedges,
      sendTimeoutMs: server.sendTimeoutMs,
      showBackend: server.showBackend,
    },
  }
}

function denied({ allow, deny }: AccessConfig): (address: string) => boolean {
  const isNamed = addressBlocks(deny)
  const isAllowed = addressBlocks(allow)
  if (allow.length === 0 && deny.length === 0) return () => false
  // An address that is not known ('') may be any, and so one that is denied.
  return (address) => address === '' || isNamed(address) || (allow.length > 0 && !isAllowed(address))
}
