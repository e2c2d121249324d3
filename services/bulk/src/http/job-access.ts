import type { IncomingMessage } from 'node:http'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import type { Request, RequestHandler, Response } from 'express'
import type { JobStore } from '../jobs/job-store.ts'
import { everyone, type Job } from '../jobs/job.ts'

export interface AdmissionDeps {
  /** Undefined: everyone may. */
  readonly clients: ClientGuard | undefined
  /** The address that a request comes from. */
  readonly clientOf: (req: IncomingMessage) => string
}

/** Lets in who may be here, and remembers whose jobs they see and whose share of everything they use up. */
export function admitClients({ clients, clientOf }: AdmissionDeps): RequestHandler {
  return async (req, res, next) => {
    // What a job asks upstream is counted, and waited for, when it does.
    const admission = await clients?.admit(req, res, false)
    res.locals['owner'] = admission?.client.id ?? everyone
    res.locals['holder'] = admission?.client.id ?? addressSubject(clientOf(req))
    next()
  }
}

/** Of a request that `admitClients` has let in. */
export function ownerOf({ locals }: Response): string {
  return String(locals['owner'])
}

/** Whose share of what is bounded the request uses up: of its token, or without tokens of its address. */
export function holderOf({ locals }: Response): string {
  return String(locals['holder'])
}

/** UUIDs as `JobStore` makes them. Nothing else is asked for: it would be a key of another kind. */
export function isJobId(text: string): boolean {
  return /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/.test(text)
}

/**
 * The job in the path, if it is the client's. Others' jobs are not there for it.
 * @throws ProxyError `not_found`
 */
export async function jobAsked(store: JobStore, req: Request, res: Response): Promise<Job> {
  const id = String(req.params['id'])
  const job = isJobId(id) ? await store.read(id) : undefined
  if (job?.owner === ownerOf(res)) return job
  throw noSuchJob()
}

/** Also for one that has expired meanwhile. */
export function noSuchJob(): ProxyError {
  return new ProxyError('not_found', { message: 'There is no job of this id, or not any more' })
}
