import type { Request, Response } from 'express'
import { Router } from 'express'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Overview, Session } from './contract.ts'
import { PageFiles } from './page-files.ts'
import { referenceRoutes } from './reference-routes.ts'

export interface ConsoleDeps {
  readonly version: string
}

/** All of `/console`, in order. */
export function createConsole(_deps: ConsoleDeps): Router {
  const files = new PageFiles()
  const router = Router({ caseSensitive: true })
  router.use((_req, res, next) => {
    setSafetyFields(res, files.importMapHash)
    next()
  })
  router.get('/api/session', (_req, res) => {
    res.json(emptySession)
  })
  router.get('/api/overview', (_req, res) => {
    res.json(emptyOverview())
  })
  router.use(referenceRoutes())
  router.get(/.*/, (req, res) => {
    sendFile(files, req, res)
  })
  router.use(() => {
    throw new ProxyError('not_found')
  })
  return router
}

function setSafetyFields(res: Response, importMapHash: string): void {
  res.set({
    'Content-Security-Policy':
      `default-src 'none'; script-src 'self' ${importMapHash}; style-src 'self'; img-src 'self' data: blob:; ` +
      "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  })
}

function sendFile(files: PageFiles, req: Request, res: Response): void {
  const file = files.file(req.path)
  if (file === undefined) throw new ProxyError('not_found')
  const { contentType, body, gzipped, tag } = file
  res.set({ 'Cache-Control': 'no-cache', ETag: tag, Vary: 'Accept-Encoding' })
  if (req.headers['if-none-match'] === tag) return void res.status(304).end()
  const isGzipped = gzipped !== undefined && req.acceptsEncodings('gzip') === 'gzip'
  if (isGzipped) res.set('Content-Encoding', 'gzip')
  res.set('Content-Type', contentType).send(isGzipped ? gzipped : body)
}

const emptySession: Session = {
  role: 'read',
  by: 'loopback',
  csrf: '',
  features: { jobs: false, egress: false, edge: false, keys: false, redis: false },
  version: '0',
}

function emptyOverview(): Overview {
  const totals = { asked: 0, memory: 0, redis: 0, coalesced: 0, upstream: 0, offline: 0, failed: 0, saved: 0 }
  return {
    at: new Date().toISOString(),
    verdict: { state: 'green', sentence: 'All is well', others: [] },
    flow: { minutes: [], totals },
    keys: [],
    replicas: [],
    redis: [],
    breakers: [],
    backends: [],
    clients: [],
    sources: [],
  }
}
