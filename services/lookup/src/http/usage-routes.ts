import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { Router } from 'express'

/**
 * `GET /usage`: what a client's token may ask, what of it is used, and when there is more. It costs nothing. Without
 * CLIENT_TOKENS there is no such path; upstream is never asked for it.
 */
export function usageRoutes(clients: ClientGuard | undefined): Router {
  const router = Router({ caseSensitive: true })
  router.all('/usage', async (req, res) => {
    if (clients === undefined) throw new ProxyError('not_found')
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', 'GET, HEAD')
      throw new ProxyError('method_not_allowed')
    }
    const usage = await clients.usage(req, res)
    res.set({ 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'no-store' })
    res.json(usage)
  })
  return router
}
