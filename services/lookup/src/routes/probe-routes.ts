import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { Router } from 'express'
import type { Health } from '../health.ts'

export interface ProbeRoutesParts {
  readonly health: Health
  readonly metrics: Metrics
}

/** What load balancers and collectors poll. Not in the access log, where it would be most of the lines. */
export function probeRoutes({ health, metrics }: ProbeRoutesParts): Router {
  const router = Router()
  router.get('/livez', (_req, res) => {
    res.type('text').send('ok\n')
  })
  router.get('/readyz', (_req, res) => {
    if (health.draining) res.status(503).type('text').send('draining\n')
    else res.type('text').send('ok\n')
  })
  router.get('/health', async (_req, res) => {
    res.json(await health.report())
  })
  router.get('/metrics', async (_req, res) => {
    const { contentType, body } = await metrics.render()
    res.set('Content-Type', contentType).send(body)
  })
  return router
}
