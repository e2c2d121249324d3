import type { IncomingMessage } from 'node:http'
import { requestGuard } from '@ipfleet/http-server/request-guard.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import type { Groups } from '../backends/upstream-groups.ts'
import type { AccessConfig, EdgeConfig } from '../config/edge-config.ts'
import type { ClientLimiter } from '../limits/client-limiter.ts'
import type { ForwardDeps } from '../proxy/forward-types.ts'
import { HiddenPaths } from '../proxy/hidden-paths.ts'
import { Routes } from '../proxy/routes.ts'
import { h2Guard } from './h2-guard.ts'
import { OperatorRoutes, type OperatorRoutesDeps } from './operator-routes.ts'

/** What outlives a configuration. */
export interface RuleInputs {
  /** Undefined: no client is limited. */
  readonly limiter: ClientLimiter | undefined
  readonly groups: Groups
  readonly forward: Pick<ForwardDeps, 'tunnels' | 'shares' | 'stalls' | 'budget' | 'record' | 'hedges'>
  readonly operators: Pick<OperatorRoutesDeps, 'metricsPage' | 'isReady' | 'redis'>
}

/** What is in force: made anew from each configuration, and replaced as a whole. */
export type Rules = Readonly<ReturnType<typeof makeRules>>

/** The rules that a configuration makes. */
export function makeRules(config: EdgeConfig, { limiter, groups, forward, operators }: RuleInputs) {
  const { server, metrics, retry } = config
  const maxTargetLength = server.maxTargetBytes
  const h1Fault = requestGuard({ maxTargetLength, takesAsterisk: true })
  const h2Fault = h2Guard({ maxTargetLength })
  return {
    /** What is wrong with a request that Node accepts. */
    faultOf: (req: IncomingMessage) => (req.httpVersionMajor === 2 ? h2Fault(req) : h1Fault(req)),
    /** Whether requests from this address are refused. */
    isDenied: denied(config.access),
    operatorRoutes: new OperatorRoutes({
      ...operators,
      metricsPath: metrics.enabled ? metrics.endpoint : undefined,
      mayReadMetrics: addressBlocks(metrics.allow),
      probePath: server.probeEndpoint === '' ? undefined : server.probeEndpoint,
    }),
    hiddenPaths: new HiddenPaths(server.hiddenPaths, config.console),
    limiter,
    routes: new Routes(config.routes),
    shares: forward.shares,
    groups,
    /** Where a route says nothing else; 0: no limit. */
    maxBodyBytes: server.maxBodyBytes,
    hedgeAfterMs: retry.hedgeAfterMs,
    forward: {
      ...forward,
      uploads: server,
      bodyBufferBytes: server.bodyBufferBytes,
      attempts: retry.attempts,
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
