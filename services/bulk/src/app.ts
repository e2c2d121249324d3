import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { errorHandler } from '@ipfleet/http-server/error-handler.ts'
import { FairTurns } from '@ipfleet/http-server/fair-turns.ts'
import { inTurn } from '@ipfleet/http-server/in-turn.ts'
import { paceRefusals } from '@ipfleet/http-server/pace-refusals.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { withRequest } from '@ipfleet/http-server/request-id.ts'
import { refuse, requestGuard } from '@ipfleet/http-server/request-guard.ts'
import { probeRoutes, type ProbeRoutesDeps } from '@ipfleet/telemetry/probe-routes.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import express, { type RequestHandler, Router } from 'express'
import { cors } from './http/cors.ts'
import { endUnreadBody, mapStoreFailure } from './http/error-handlers.ts'
import { type EventRoutesDeps, eventRoutes } from './http/event-routes.ts'
import { admitClients, holderOf } from './http/job-access.ts'
import { type JobRoutesDeps, jobRoutes } from './http/job-routes.ts'
import { reportRoutes, type ReportRoutesDeps, sharedReport } from './http/report-routes.ts'
import { resultRoutes } from './http/result-routes.ts'
import type { ServiceSlots } from './limits/slot-limiter.ts'

export interface AppDeps extends JobRoutesDeps, EventRoutesDeps, ReportRoutesDeps {
  /** A process that only looks up serves only probes. */
  readonly takesJobs: boolean
  readonly slots: ServiceSlots
  readonly accessLog: AccessLog
  readonly probes: ProbeRoutesDeps
}

/** The steps of a request, in order, and why in this order. */
export function createApp(deps: AppDeps): (req: IncomingMessage, res: ServerResponse) => void {
  const { accessLog } = deps
  const app = express()
  app.disable('x-powered-by')
  // Hashing each answer would cost more than it saves. Results have their own tags.
  app.disable('etag')
  app.set('case sensitive routing', true)

  app.use(probeRoutes(deps.probes))
  if (deps.takesJobs) app.use(jobsApp(deps))
  app.use(() => {
    throw new ProxyError('not_found')
  })
  // After that wait, in which the client may send the rest, and before the answer is made: its header says whether the
  // connection ends.
  app.use(paceRefusals(holderOf))
  app.use(endUnreadBody)
  app.use(mapStoreFailure)
  app.use(errorHandler(accessLog.failed))

  const isFaulty = requestGuard()
  const turns = new FairTurns()
  // A request behind a refused one on the same connection must not be acted upon: its answer would not be sent.
  return inTurn((req, res) => {
    // Before anything reads the request: Node accepts some requests that two readers may understand differently.
    const fault = isFaulty(req)
    // Every request leaves a line in the log, however it ends.
    const scope = accessLog.begin(req, res)
    if (fault) return accessLog.failed(res, refuse(res, fault))
    // A client that sends many requests at once delays its own.
    return turns.take(addressSubject(deps.clientOf(req)), () => {
      if (!res.destroyed) withRequest(scope, () => app(req, res))
    })
  })
}

/** Only `POST /jobs` reads a body, piece by piece. */
function jobsApp(deps: AppDeps): Router {
  const router = Router({ caseSensitive: true })
  // Before clients are asked for their token: what they are refused can be read too.
  router.use('/jobs', cors)
  // Its id admits, without a token.
  router.get('/jobs/:id/report/:report', sharedReport(deps))
  // Before all other routes: a client that is not admitted does not learn which jobs exist.
  router.use('/jobs', admitClients(deps))
  router.use(jobRoutes(deps))
  router.use(eventRoutes(deps))
  router.use(resultRoutes(deps))
  router.use(reportRoutes(deps))
  // After all routes: a known path with another method.
  router.all('/jobs', allowOnly('GET, HEAD, POST'))
  router.all('/jobs/:id', allowOnly('GET, HEAD, DELETE'))
  router.all('/jobs/:id/webhook', allowOnly('POST'))
  const readOnly = ['events', 'results', 'summary', 'report', 'report.json', 'report/:report']
  router.all(
    readOnly.map((part) => `/jobs/:id/${part}`),
    allowOnly('GET, HEAD'),
  )
  return router
}

function allowOnly(methods: string): RequestHandler {
  return (_req, res) => {
    res.set('Allow', methods)
    throw new ProxyError('method_not_allowed')
  }
}
