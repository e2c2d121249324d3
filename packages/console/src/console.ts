import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { errorHandler } from '@ipfleet/http-server/error-handler.ts'
import type { ResponseWriter } from '@ipfleet/http-server/response-writer.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import { version } from '@ipfleet/settings/version.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { type NextFunction, type Request, type Response, Router } from 'express'
import { LoginLimits } from './access/login-limits.ts'
import { isCrossSite, isForwarded } from './access/request-origin.ts'
import { SessionStore } from './access/session-store.ts'
import { requireOwnPage, requireWriter, type Visitor, Visitors } from './access/visitors.ts'
import type { AnsweredQuery, Features, Session } from './contract.ts'
import { eventHeaders, EventStreams } from './event-streams.ts'
import { Overviews, type OverviewSources } from './overview/overviews.ts'
import { PageFiles, sendPageFile } from './page-files.ts'
import { referenceRoutes } from './reference-routes.ts'

export interface ConsoleDeps extends OverviewSources {
  readonly adminToken: string | undefined
  readonly readToken: string | undefined
  /** What operators may do by `/keys` and `/cache`, by the same code. */
  readonly operations: Router
  /** A look-up like any other. @throws ProxyError */
  readonly lookUp: (query: string) => Promise<AnsweredQuery>
  readonly clientAddress: (req: IncomingMessage) => string
  readonly readBody: (req: IncomingMessage, res: ServerResponse, maxBytes: number) => Promise<Buffer>
  /** Told before an error is answered. */
  readonly onFailed: (res: ResponseWriter, error: ProxyError) => void
  /** Aborted when this process is told to stop. */
  readonly closing: AbortSignal
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

const maxLoginBytes = 4096

/** All of `/console`, in order, and why in this order. */
export function createConsole(deps: ConsoleDeps): Router {
  const sessions = new SessionStore({ link: deps.redis?.state, epochMs: deps.epochMs })
  const visitors = new Visitors({ ...deps, sessions })
  const files = new PageFiles()
  const router = Router({ caseSensitive: true })
  // Before anything may be refused: errors are answers of this origin too.
  router.use((_req, res, next) => {
    setSafetyFields(res, files.importMapHash)
    next()
  })
  router.use(sessionRoutes(deps, visitors))
  router.use('/api', apiRoutes(deps, visitors))
  router.use(referenceRoutes())
  // The page tells nothing but what is in this repository, so it needs no session; it shows the login.
  router.get(/.*/, (req, res) => sendPageFile(files, req, res))
  router.use(() => {
    throw new ProxyError('not_found')
  })
  router.use(errorHandler(deps.onFailed, { isForAllOrigins: false }))
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

/** Logging in and out. */
function sessionRoutes(deps: ConsoleDeps, visitors: Visitors): Router {
  const { clientAddress, logger, readBody } = deps
  const limits = new LoginLimits(deps.redis?.state)
  const router = Router({ caseSensitive: true })
  router.post('/session', async (req, res) => {
    // A page of another site could otherwise log its visitor in to a session of its own.
    if (isCrossSite(req))
      throw new ProxyError('forbidden', { message: 'The console takes logins from its own page only' })
    const client = clientAddress(req)
    const token = tokenIn(req, await readBody(req, res, maxLoginBytes))
    if (!(await limits.try(addressSubject(client), () => visitors.logIn(req, res, token)))) {
      logger.warn({ client }, 'console login failed')
      throw new ProxyError('unauthorized', { message: loginMessage(deps) })
    }
    logger.info({ client }, 'console login')
    res.status(204).end()
  })
  router.delete('/session', async (req, res) => {
    const visitor = await visitors.of(req)
    if (visitor) requireOwnPage(req, visitor.csrf)
    await visitors.logOut(req, res, visitor?.by === 'token')
    res.status(204).end()
  })
  return router
}

/** @throws ProxyError `unsupported_media_type`, which keeps out HTML forms; `bad_request` */
function tokenIn(req: Request, body: Buffer): string {
  if (!req.is('application/json')) throw new ProxyError('unsupported_media_type')
  try {
    const { token } = JSON.parse(body.toString()) as { token?: unknown }
    if (typeof token === 'string') return token
  } catch {
    // The parser's message holds what was sent.
  }
  throw new ProxyError('bad_request', { message: 'Send {"token": "..."} as JSON' })
}

function loginMessage({ adminToken, readToken }: ConsoleDeps): string {
  return adminToken === undefined && readToken === undefined
    ? 'Set ADMIN_TOKEN, or CONSOLE_READ_TOKEN, on the replicas to log in from elsewhere than their own machine'
    : 'This is neither ADMIN_TOKEN nor CONSOLE_READ_TOKEN'
}

function apiRoutes(deps: ConsoleDeps, visitors: Visitors): Router {
  const overviews = new Overviews(deps)
  const next = async (): Promise<string> => JSON.stringify(await overviews.latest())
  const streams = new EventStreams({ next, closing: deps.closing })
  const router = Router({ caseSensitive: true })
  router.use(async (req: Request, res: Response, proceed: NextFunction) => {
    const visitor = await visitors.of(req)
    if (!visitor)
      throw new ProxyError('token_missing', { message: `Log in to the console. ${loginHint(deps)}`.trimEnd() })
    if (!isRead(req)) requireWriter(req, visitor)
    res.locals['visitor'] = visitor
    proceed()
  })
  router.get('/session', async (req, res) => {
    const { role, by, csrf } = visitorOf(res)
    const features = await featuresOf(deps, overviews, req)
    res.json({ role, by, csrf, features, version } satisfies Session)
  })
  router.get('/overview', async (_req, res) => {
    res.json(await overviews.latest())
  })
  router.get('/events', (req, res) => {
    // HEAD is told what GET would send, and takes no place.
    if (req.method === 'HEAD') return void res.set(eventHeaders).end()
    // On no request's time: the stream outlives all that one may wait.
    const isAllowed = () => withoutBudget(async () => (await visitors.of(req, false))?.session === session)
    const { session } = visitorOf(res)
    streams.open(res, session, isAllowed)
  })
  router.get('/lookup', async (req, res) => {
    res.json(await deps.lookUp(typeof req.query.q === 'string' ? req.query.q.trim() : ''))
  })
  router.use(deps.operations)
  router.use(() => {
    throw new ProxyError('not_found')
  })
  return router
}

const loginHint = (deps: ConsoleDeps): string =>
  deps.adminToken === undefined && deps.readToken === undefined ? loginMessage(deps) : ''

const isRead = ({ method }: Request): boolean => method === 'GET' || method === 'HEAD'
const visitorOf = (res: Response): Visitor => res.locals['visitor'] as Visitor

async function featuresOf(deps: ConsoleDeps, overviews: Overviews, req: Request): Promise<Features> {
  const { replicas, keys } = await overviews.latest()
  const has = (name: string): boolean => replicas.some(({ service, state }) => service === name && state !== 'gone')
  return {
    // A replica that is asked directly has no jobs behind it.
    jobs: isForwarded(req),
    egress: has('egress'),
    edge: has('edge'),
    keys: keys.length > 0,
    redis: deps.redis !== undefined,
  }
}
