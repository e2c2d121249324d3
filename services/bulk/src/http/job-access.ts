import type { IncomingMessage } from 'node:http'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import type { Request, RequestHandler, Response } from 'express'
import type { JobStore } from '../jobs/job-store.ts'
import { everyone, type Job } from '../jobs/job.ts'

export interface AdmissionDeps {
  /** Undefined: everyone may do everything, with all jobs. */
  readonly clients: ClientGuard | undefined
  readonly clientOf: (req: IncomingMessage) => string
}

/** Admits clients, and remembers whose jobs they see and in whose share of everything they count. */
export function admitClients({ clients, clientOf }: AdmissionDeps): RequestHandler {
  return async (req, res, next) => {
    // What a job asks upstream is counted, and waited for, when it does.
    const admission = await clients?.admit(req, res, false)
    res.locals['owner'] = admission?.client.id ?? everyone
    res.locals['holder'] = admission?.client.id ?? addressSubject(clientOf(req))
    next()
  }
}

/** The client whose jobs an admitted request sees. */
export const ownerOf = ({ locals }: Response): string => String(locals['owner'])

/** Whose share of what is bounded the request uses: its token's, or without tokens its address's. */
export const holderOf = ({ locals }: Response): string => String(locals['holder'])

/** UUIDs as `JobStore` makes them. Any other text could be a key of another kind. */
export function isJobId(text: string): boolean {
  return /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/.test(text)
}

/** The job in the path, if it is the client's. @throws ProxyError `not_found`, also for jobs of others */
export async function jobAsked(store: JobStore, req: Request, res: Response): Promise<Job> {
  const id = String(req.params['id'])
  const job = isJobId(id) ? await store.read(id) : undefined
  if (job?.owner === ownerOf(res)) return job
  throw noSuchJob()
}

export function noSuchJob(): ProxyError {
  return new ProxyError('not_found', { message: 'There is no job of this id, or not any more' })
}
