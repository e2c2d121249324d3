import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { http } from '@ipfleet/core/node-http.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http-server/harden-server.ts'
import { refuse, requestGuard } from '@ipfleet/http-server/request-guard.ts'
import { sendError } from '@ipfleet/http-server/send-error.ts'
import type { LinkHealth } from '@ipfleet/redis/link-health.ts'
import { version } from '@ipfleet/settings/version.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { healthReply, metricsReply, probePaths } from '@ipfleet/telemetry/probe-replies.ts'
import { traceOf } from '@ipfleet/telemetry/request-trace.ts'

export interface MetricsServerDeps {
  readonly metrics: Metrics
  readonly accessLog: AccessLog
  /** False from SIGTERM on. */
  readonly isReady: () => boolean
  /** Undefined without Redis. */
  readonly redis: () => LinkHealth | undefined
}

/** The server for operators, on a port of its own: `/metrics`, `/livez`, `/readyz` and `/health`. */
export function metricsServer(deps: MetricsServerDeps): Server {
  const { accessLog } = deps
  const faultOf = requestGuard()
  const server = http.createServer(httpServerOptions(), (req, res) => {
    accessLog.begin(req, res)
    const fault = faultOf(req)
    if (fault) return accessLog.failed(res, refuse(res, fault))
    answer(req, res, deps).catch((thrown: unknown) => {
      const error = ProxyError.from(thrown)
      accessLog.failed(res, error)
      sendError(res, error)
    })
  })
  hardenServer(server, {}, accessLog.refused)
  return server
}

/** @throws ProxyError */
async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  { metrics, isReady, redis }: MetricsServerDeps,
): Promise<void> {
  const [path = ''] = (req.url ?? '').split('?', 1)
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new ProxyError('method_not_allowed')
  if (!probePaths.includes(path)) throw new ProxyError('not_found')
  traceOf(res).probe = true
  const health = path === '/health' ? redis() : undefined
  const { status, contentType, body } =
    path === '/metrics'
      ? await metricsReply((format) => metrics.render(format), req.headers.accept)
      : healthReply(path !== '/readyz' || isReady(), { version, redis: health }, health)
  res.writeHead(status, { 'Content-Type': contentType, 'Cache-Control': 'no-store' }).end(body)
}
