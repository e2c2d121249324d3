import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { errorHandler } from '@ipfleet/http-server/error-handler.ts'
import { inTurn } from '@ipfleet/http-server/in-turn.ts'
import { withRequestId } from '@ipfleet/http-server/request-id.ts'
import { refuse, requestGuard } from '@ipfleet/http-server/request-guard.ts'
import { probeRoutes, type ProbeRoutesParts } from '@ipfleet/telemetry/probe-routes.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import express, { type RequestHandler, Router } from 'express'
import type { BodyLimits } from './input/decoded-body.ts'
import type { ReadLimits } from './input/read-inputs.ts'
import type { ServiceSlots } from './limits/service-slots.ts'
import type { JobChanges } from './jobs/job-changes.ts'
import type { JobStore } from './jobs/job-store.ts'
import type { Job } from './jobs/job.ts'
import { eventRoutes } from './http/event-routes.ts'
import { admitClients } from './http/job-access.ts'
import type { Room } from './http/job-intake.ts'
import type { CheckCallback } from './http/job-request.ts'
import { jobRoutes } from './http/job-routes.ts'
import { resultRoutes } from './http/result-routes.ts'
import { mapStoreFailure } from './http/store-failure.ts'
import { endUnreadBody } from './http/unread-body.ts'
import type { UploadLimits } from './http/upload.ts'

export interface AppDeps {
  /** A process that only looks up has probes alone. */
  readonly takesJobs: boolean
  readonly store: JobStore
  readonly changes: JobChanges
  /** Puts the chunks of a job that has come in into the queue. */
  readonly submit: (job: Job) => Promise<void>
  /** Tells those who work on the job in this process. */
  readonly cancelled: (id: string) => void
  readonly room: Room
  readonly places: ServiceSlots
  readonly holding: (holder: string) => Promise<object>
  /** The callback as it is to be kept. Throws a ProxyError for one that may not be. */
  readonly checkCallback: CheckCallback
  readonly sendWebhook: (id: string) => Promise<void>
  /** Undefined: everyone may do all, with all jobs. */
  readonly clients: ClientGuard | undefined
  /** The address that a request comes from. */
  readonly clientOf: (req: IncomingMessage) => string
  readonly limits: ReadLimits & BodyLimits
  readonly uploads?: UploadLimits
  readonly accessLog: AccessLog
  readonly probes: ProbeRoutesParts
  /** Aborts when this process is to stop: those who follow a job are sent away. */
  readonly streams: AbortSignal
  readonly heartbeatMs?: number
  readonly maxStallMs?: number
}

/** All that a request passes, in order, and why in this order. */
export function createApp(parts: AppDeps): (req: IncomingMessage, res: ServerResponse) => void {
  const { accessLog } = parts
  const app = express()
  app.disable('x-powered-by')
  // Hashing each answer would cost more than it saves; results have tags of their own.
  app.disable('etag')
  app.set('case sensitive routing', true)

  app.use(probeRoutes(parts.probes))
  if (parts.takesJobs) app.use(jobsApp(parts))
  app.use(() => {
    throw new ProxyError('not_found')
  })
  // Before the answer is made: what becomes of the connection is said in its header.
  app.use(endUnreadBody)
  app.use(mapStoreFailure)
  app.use(errorHandler(accessLog.failed))

  const isFaulty = requestGuard()
  // What follows a refused request on its connection must not be acted upon: nobody would learn of it.
  return inTurn((req, res) => {
    // Before anything reads the request: what Node lets by and nobody may read in two ways.
    const fault = isFaulty(req)
    // Every request leaves a line, whichever way it ends.
    const id = accessLog.begin(req, res)
    if (fault) accessLog.failed(res, refuse(res, fault))
    else withRequestId(id, () => app(req, res))
  })
}

/** Nothing here reads a body but the route that takes one, piece by piece. */
function jobsApp(parts: AppDeps): Router {
  const router = Router({ caseSensitive: true })
  // Before all routes: who may not be here does not learn which jobs exist.
  router.use('/jobs', admitClients(parts))
  router.use(jobRoutes({ ...parts, uploads: parts.uploads ?? {} }))
  router.use(eventRoutes(parts))
  router.use(resultRoutes(parts))
  // After all routes: a path that is there, but not for this method.
  router.all('/jobs', allowOnly('GET, HEAD, POST'))
  router.all('/jobs/:id', allowOnly('GET, HEAD, DELETE'))
  router.all('/jobs/:id/webhook', allowOnly('POST'))
  router.all(['/jobs/:id/events', '/jobs/:id/results'], allowOnly('GET, HEAD'))
  return router
}

function allowOnly(methods: string): RequestHandler {
  return (_req, res) => {
    res.set('Allow', methods)
    throw new ProxyError('method_not_allowed')
  }
}
