import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { errorHandler, type ErrorMiddleware } from '@ipfleet/http-server/error-handler.ts'
import { LaneResponse } from '@ipfleet/http-server/fast-lane/lane-response.ts'
import type { LaneHandlers } from '@ipfleet/http-server/fast-lane/plain-connection.ts'
import { FairTurns } from '@ipfleet/http-server/fair-turns.ts'
import { paceRefusals } from '@ipfleet/http-server/pace-refusals.ts'
import { REQUEST_ID, type RequestScope, withRequest } from '@ipfleet/http-server/request-id.ts'
import { refuse, requestGuard } from '@ipfleet/http-server/request-guard.ts'
import type { ResponseWriter } from '@ipfleet/http-server/response-writer.ts'
import type { ConsoleDeps } from '@ipfleet/console/console.ts'
import { probeRoutes, type ProbeRoutesDeps } from '@ipfleet/telemetry/probe-routes.ts'
import { RequestBudget, withBudget } from '@ipfleet/redis/request-budget.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import express, { type Express, Router } from 'express'
import { type AnswerQuery, queryAnswerer } from './http/answer-query.ts'
import { adminGuard } from './http/admin-guard.ts'
import { consoleRoutes } from './http/console-routes.ts'
import { keyRoutes, type KeyRoutesDeps } from './http/key-routes.ts'
import type { MemoryHits } from './http/memory-hits.ts'
import { lookupRoutes, type LookupRoutesDeps } from './http/lookup-routes.ts'
import { usageRoutes } from './http/usage-routes.ts'
import { reportRoutes } from './http/report-routes.ts'
import { operationRoutes, type OperationRoutesDeps } from './http/operation-routes.ts'

export interface AppDeps {
  readonly adminToken: string | undefined
  readonly accessLog: AccessLog
  readonly memoryHits: MemoryHits
  readonly probes: ProbeRoutesDeps
  readonly operations: OperationRoutesDeps
  readonly keys: KeyRoutesDeps
  readonly lookups: LookupRoutesDeps
  readonly console: Omit<ConsoleDeps, 'operations'>
  /** How long one request may wait for Redis in all. */
  readonly redisTimeoutMs: number
}

/** Never a query for upstream, whatever stands behind them. */
const operatorPaths = ['/cache', '/keys', '/admin']

/**
 * A query for an address, with or without a product before it: `/8.8.8.8/privacy`, `/lite/8.8.8.8`. No route of
 * operators or of the fleet has such a path.
 */
const addressQuery = /^\/(?:(?:lite|lookup|plus|max)\/)?[\da-f]*[.:]/i

export interface App {
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void
  /** The same for plain requests. */
  readonly inLane: LaneHandlers
}

/** What a request passes, in order, and why in this order. */
export function createApp(deps: AppDeps): App {
  const { accessLog } = deps
  const answerQuery = queryAnswerer(deps.lookups)
  const answerError = errorHandler(accessLog.failed)
  const app = allRoutes(deps, answerQuery, answerError)
  const isFaulty = requestGuard()
  const turns = new FairTurns()
  const begin = (req: IncomingMessage, res: ResponseWriter, scope: RequestScope, run: () => void): void => {
    const client = addressSubject(deps.lookups.clientAddress(req))
    // A client that sends many requests at once delays its own.
    turns.take(client, () => {
      if (res.destroyed) return
      const budget = new RequestBudget(deps.redisTimeoutMs)
      res.once('close', () => budget.end())
      withRequest({ ...scope, client }, () => withBudget(budget, run))
    })
  }
  // Past Express and pino-http: they cost a fifth of what a query costs that is asked of upstream.
  const beginHot = (req: IncomingMessage, res: ResponseWriter): void => {
    const scope = accessLog.beginHot(req, res)
    begin(req, res, scope, () => {
      answerQuery(req, res).catch((thrown: unknown) => {
        if (!res.headersSent) res.setHeader(REQUEST_ID, scope.id)
        answerError(thrown, req, res, nothingElse)
      })
    })
  }
  const handle: App['handle'] = (req, res) => {
    // Before anything reads the request: what Node lets by although it can be read in two ways.
    const fault = isFaulty(req)
    if (fault) {
      accessLog.begin(req, res)
      return accessLog.failed(res, refuse(res, fault))
    }
    // Before Express: most requests are hits in memory, and Express costs several times what they do. With a fast lane
    // only those come here whose head it leaves to node:http.
    if (deps.memoryHits.answer(req, res)) return undefined
    if (req.method === 'GET' && addressQuery.test(req.url ?? '')) return beginHot(req, res)
    return begin(req, res, accessLog.begin(req, res), () => app(req, res))
  }
  const inLane: LaneHandlers = {
    answer: deps.memoryHits.inLane,
    takes: ({ url }) => addressQuery.test(url),
    serve: (req, exchange) => beginHot(req, new LaneResponse(exchange)),
  }
  return { handle, inLane }
}

/** All the routes, in order, and why in this order. */
function allRoutes(deps: AppDeps, answerQuery: AnswerQuery, answerError: ErrorMiddleware): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('case sensitive routing', true)

  const operators = Router({ caseSensitive: true })
  operators.use(operationRoutes(deps.operations))
  operators.use(keyRoutes(deps.keys))

  app.use(probeRoutes(deps.probes))
  // Before the routes of operators: a client that may not use them does not learn which exist.
  app.use(operatorPaths, adminGuard(deps.adminToken))
  app.use(operators)
  app.use(operatorPaths, () => {
    throw new ProxyError('not_found')
  })
  app.use(usageRoutes(deps.lookups.clients))
  // It decides by itself who may do what operators may.
  app.use(consoleRoutes({ ...deps.console, operations: operators }))
  // Of the bulk service. A client that looks for it here must not ask upstream for it.
  app.use('/jobs', () => {
    throw new ProxyError('not_found')
  })
  if (deps.lookups.reports) app.use(reportRoutes(deps.lookups.reports))
  // Takes every path that is left, so it is the last.
  app.use(lookupRoutes(deps.lookups, answerQuery))
  app.use(paceRefusals(({ req }) => addressSubject(deps.lookups.clientAddress(req))))
  app.use(answerError)
  return app
}

function nothingElse(): void {}
