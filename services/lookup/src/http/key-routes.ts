import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import type { KeyAdmin } from '../keys/key-admin.ts'

export interface KeyRoutesDeps {
  /** Undefined without keys. */
  readonly admin: KeyAdmin | undefined
}

/** A year: a key that should be gone for longer should be gone from the settings. */
const longestBenchSeconds = 31_536_000

/** What an operator sees of the keys, and does to one of them for the whole fleet; who may is decided before. */
export function keyRoutes({ admin }: KeyRoutesDeps): Router {
  const router = Router({ caseSensitive: true })
  router.get('/keys', async (_req, res) => {
    res.json({ keys: (await admin?.rows()) ?? [] })
  })
  const change = (act: (admin: KeyAdmin, id: string, req: Request) => Promise<object | void>) => {
    return async (req: Request, res: Response): Promise<void> => {
      const id = String(req.params['id'])
      if (!admin?.knows(id)) throw new ProxyError('not_found', { message: 'There is no key of this id' })
      const more = await act(admin, id, req)
      res.json({ ...(await admin.rows()).find((row) => row.id === id), ...more })
    }
  }
  router.post(
    '/keys/:id/bench',
    change((known, id, req) => known.bench(id, benchSeconds(req))),
  )
  router.post(
    '/keys/:id/release',
    change((known, id) => known.release(id)),
  )
  router.post(
    '/keys/:id/test',
    change(async (known, id) => ({ tested: await known.test(id) })),
  )
  return router
}

/** Undefined when not given. @throws ProxyError `bad_request` */
function benchSeconds({ query: { seconds } }: Request): number | undefined {
  if (seconds === undefined) return undefined
  const given = typeof seconds === 'string' && /^\d{1,8}$/.test(seconds) ? Number(seconds) : 0
  if (given >= 1 && given <= longestBenchSeconds) return given
  throw new ProxyError('bad_request', { message: `seconds is a whole number from 1 to ${longestBenchSeconds}` })
}
