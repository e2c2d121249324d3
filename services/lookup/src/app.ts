import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { errorHandler } from '@ipfleet/http-server/error-handler.ts'
import { withRequestId } from '@ipfleet/http-server/request-id.ts'
import { refuse, requestGuard } from '@ipfleet/http-server/request-guard.ts'
import { probeRoutes, type ProbeRoutesParts } from '@ipfleet/telemetry/probe-routes.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import express from 'express'
import { adminGuard } from './http/admin-guard.ts'
import { fastPath, type FastPathParts } from './http/fast-path.ts'
import { keyRoutes, type KeyRoutesParts } from './http/key-routes.ts'
import { lookupRoutes, type LookupRoutesParts } from './http/lookup-routes.ts'
import { usageRoutes } from './http/usage-routes.ts'
import { operationRoutes, type OperationRoutesParts } from './http/operation-routes.ts'

export interface AppParts {
  readonly adminToken: string | undefined
  readonly accessLog: AccessLog
  readonly fast: FastPathParts
  readonly probes: ProbeRoutesParts
  readonly operations: OperationRoutesParts
  readonly keys: KeyRoutesParts
  readonly lookups: LookupRoutesParts
}

/** Never a query for upstream, whatever stands behind them. */
const operatorPaths = ['/cache', '/keys', '/admin']

/** All that a request passes, in order, and why in this order. */
export function createApp(parts: AppParts): (req: IncomingMessage, res: ServerResponse) => void {
  const { accessLog } = parts
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('case sensitive routing', true)

  app.use(probeRoutes(parts.probes))
  // Before the routes of operators: whoever may not use them does not learn which exist.
  app.use(operatorPaths, adminGuard(parts.adminToken))
  app.use(operationRoutes(parts.operations))
  app.use(keyRoutes(parts.keys))
  app.use(operatorPaths, () => {
    throw new ProxyError('not_found')
  })
  app.use(usageRoutes(parts.fast.clients))
  // Of the bulk service. Whoever looks for it here is not to ask upstream for it.
  app.use('/jobs', () => {
    throw new ProxyError('not_found')
  })
  // Takes every path that is left, so it is the last.
  app.use(lookupRoutes(parts.lookups))
  app.use(errorHandler(accessLog.failed))

  const isFaulty = requestGuard()
  const answeredFromMemory = fastPath(parts.fast)
  return (req, res) => {
    // Before anything reads the request: what Node lets by and nobody may read in two ways.
    const fault = isFaulty(req)
    // Before Express: most requests are hits in memory, and Express costs several times what they do.
    if (!fault && answeredFromMemory(req, res)) return
    // From here on every request leaves a line, whichever way it ends.
    const id = accessLog.begin(req, res)
    if (fault) accessLog.failed(res, refuse(res, fault))
    else withRequestId(id, () => app(req, res), addressSubject(parts.lookups.clientAddress(req)))
  }
}
