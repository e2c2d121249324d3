import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http/harden-server.ts'
import { refuse, requestGuard } from '@ipfleet/http/request-guard.ts'
import { sendError } from '@ipfleet/http/send-error.ts'
import { version } from '@ipfleet/settings/version.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import { expositionFormat } from '@ipfleet/telemetry/exposition.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { traceOf } from '@ipfleet/telemetry/request-trace.ts'

/** Where operators look, away from the port of the clients: `/metrics`, `/livez`, and `/readyz`, which fails from SIGTERM on. */
export function metricsServer(metrics: Metrics, accessLog: AccessLog, isReady: () => boolean): Server {
  const faultOf = requestGuard()
  const server = createServer(httpServerOptions(), (req, res) => {
    accessLog.begin(req, res)
    const fault = faultOf(req)
    if (fault) return accessLog.failed(res, refuse(res, fault))
    answer(req, res, isReady, metrics).catch((thrown: unknown) => {
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
  isReady: () => boolean,
  metrics: Metrics,
): Promise<void> {
  const [path] = (req.url ?? '').split('?', 1)
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new ProxyError('method_not_allowed')
  if (path !== '/metrics' && path !== '/livez' && path !== '/readyz') throw new ProxyError('not_found')
  traceOf(res).probe = true
  if (path === '/metrics') {
    const { contentType, body } = await metrics.render(expositionFormat(req.headers.accept))
    res.writeHead(200, { 'Content-Type': contentType }).end(body)
    return
  }
  const isGood = path === '/livez' || isReady()
  res.writeHead(isGood ? 200 : 503, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
  })
  res.end(`${JSON.stringify({ status: isGood ? 'ok' : 'unavailable', version })}\n`)
}
