import type { IncomingMessage } from 'node:http'
import { requestGuard } from '@ipfleet/http-server/request-guard.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import type { RelayDeps } from '@ipfleet/proxy/relay/relay-types.ts'
import type { Groups } from '../backends/upstream-groups.ts'
import type { AccessConfig, EdgeConfig, RouteConfig } from '../config/edge-config.ts'
import type { ClientLimiter } from '../limits/client-limiter.ts'
import type { ClientShares } from '../limits/client-shares.ts'
import type { HedgeWatch } from '../proxy/hedge-watch.ts'
import { HiddenPaths } from '../proxy/hidden-paths.ts'
import type { AttemptsRecord, RetryBudget } from '../proxy/retries.ts'
import { h2Guard } from './h2-guard.ts'
import { OperatorRoutes, type OperatorRoutesDeps } from './operator-routes.ts'

/** What outlives a configuration. */
export interface RuleInputs {
  /** Undefined: no client is limited. */
  readonly limiter: ClientLimiter | undefined
  readonly groups: Groups
  readonly forward: Pick<RelayDeps, 'tunnels' | 'stalls'> & {
    readonly shares: ClientShares
    readonly budget: RetryBudget
    /** Counts attempts and retries. */
    readonly record: AttemptsRecord
    /** Requests that wait for an answer. */
    readonly hedges: HedgeWatch
  }
  readonly operators: Pick<OperatorRoutesDeps, 'metricsPage' | 'isReady' | 'redis'>
}

/** What is in force: made anew from each configuration, and replaced as a whole. */
export type Rules = Readonly<ReturnType<typeof makeRules>>

export function makeRules(config: EdgeConfig, { limiter, groups, forward, operators }: RuleInputs) {
  const { server, metrics, retry } = config
  const maxTargetLength = server.maxTargetBytes
  const h1Fault = requestGuard({ maxTargetLength, takesAsterisk: true })
  const h2Fault = h2Guard({ maxTargetLength })
  return {
    /** What is wrong with a request that Node accepts. */
    faultOf: (req: IncomingMessage) => (req.httpVersionMajor === 2 ? h2Fault(req) : h1Fault(req)),
    isDenied: denied(config.access),
    operatorRoutes: new OperatorRoutes({
      ...operators,
      metricsPath: metrics.enabled ? metrics.endpoint : undefined,
      mayReadMetrics: addressBlocks(metrics.allow),
      probePath: server.probeEndpoint === '' ? undefined : server.probeEndpoint,
    }),
    hiddenPaths: new HiddenPaths(server.hiddenPaths, config.console),
    limiter,
    routeFor: routesOf(config.routes),
    shares: forward.shares,
    groups,
    /** Where a route says nothing else; 0: no limit. */
    maxBodyBytes: server.maxBodyBytes,
    hedgeAfterMs: retry.hedgeAfterMs,
    /** What all proxied requests share. */
    forward: {
      ...forward,
      uploads: server,
      /** Of a body, before a backend is asked. */
      bodyBufferBytes: server.bodyBufferBytes,
      /** Further backends that one request may try. */
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

/** What the edge does with a request by its path. */
export type Route = Pick<RouteConfig, 'upstreams' | 'maxBodyBytes' | 'hedgeAfterMs'>

const defaultRoute: Route = { upstreams: 'default', maxBodyBytes: undefined, hedgeAfterMs: undefined }

/**
 * Which group answers a target (path and query, as in the request line): the longest prefix of whole segments, and
 * `default` for what matches none.
 *
 * It is the raw path that is compared, letter by letter, since the raw path is what the chosen backend will read:
 * nothing is decoded or resolved that the backend then sees in another way. `/%6aobs`, `/JOBS` and `//jobs` are thus not
 * `/jobs`, and `/jobs/../x` is below it. Routes say which group answers, not which clients may ask; what no client may ask
 * is up to `HiddenPaths`, for which every spelling counts.
 */
export function routesOf(routes: readonly RouteConfig[]): (target: string) => Route {
  const longestFirst = routes
    .map((route) => ({ prefix: route.prefix.replace(/\/+$/, ''), route }))
    .toSorted((one, other) => other.prefix.length - one.prefix.length)
  return (target) => {
    for (const { prefix, route } of longestFirst) {
      if (target.startsWith(prefix) && isSegmentEnd(target.charAt(prefix.length))) return route
    }
    return defaultRoute
  }
}

function isSegmentEnd(next: string): boolean {
  return next === '' || next === '/' || next === '?' || next === '#'
}
