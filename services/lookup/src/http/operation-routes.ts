import type { Generation } from '@ipfleet/cache/generation.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { Router } from 'express'
import { type Stats, sumStats } from '../operations/stats.ts'

export interface OperationRoutesDeps {
  readonly generation: Generation
  readonly ownStats: () => Promise<Stats>
  /** Undefined for a replica on its own. */
  readonly otherStats: (() => Promise<Stats[]>) | undefined
}

/** Counters, and what an operator does to the fleet; who may is decided before. */
export function operationRoutes({ generation, ownStats, otherStats }: OperationRoutesDeps): Router {
  // As where it is guarded: `/CACHE` must be no other spelling of `/cache`.
  const router = Router({ caseSensitive: true })
  router.get('/stats', async (req, res) => {
    const own = await ownStats()
    res.json(req.query.scope === 'fleet' ? sumStats(own, (await otherStats?.().catch(() => [])) ?? []) : own)
  })
  router.delete('/cache', async (_req, res) => {
    try {
      await generation.purge()
    } catch (cause) {
      throw new ProxyError('purge_incomplete', { cause })
    }
    res.status(204).end()
  })
  return router
}
