import { version } from '@ipfleet/settings/version.ts'
import type { Exposition, ExpositionFormat } from './exposition.ts'
import { metricsReply, probePaths } from './probe-replies.ts'
import { traceOf } from './request-trace.ts'
import { Router } from 'express'

export interface ProbeRoutesDeps {
  readonly metrics: { render(format: ExpositionFormat): Promise<Exposition> }
  /** What the process knows of its own state. */
  readonly health: () => Promise<object>
  /** False from when the process has been told to stop. */
  readonly isReady: () => boolean
}

/** What load balancers and collectors poll. In the access log at level debug: it would be most of the lines. */
export function probeRoutes({ metrics, health, isReady }: ProbeRoutesDeps): Router {
  const router = Router({ caseSensitive: true })
  router.get(probePaths, (_req, res, next) => {
    traceOf(res).probe = true
    next()
  })
  router.get('/livez', (_req, res) => {
    res.type('text').send('ok\n')
  })
  router.get('/readyz', (_req, res) => {
    if (isReady()) res.type('text').send('ok\n')
    else res.status(503).type('text').send('draining\n')
  })
  router.get('/health', async (_req, res) => {
    res.json({ ...(await health()), version })
  })
  router.get('/metrics', async (req, res) => {
    const { contentType, body } = await metricsReply((format) => metrics.render(format), req.headers.accept)
    res.set('Content-Type', contentType).send(body)
  })
  return router
}
