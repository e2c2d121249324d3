import { createServer, type Server } from 'node:http'
import { hardenServer, httpServerOptions } from '@ipfleet/http/harden-server.ts'
import { refuse, requestGuard } from '@ipfleet/http/request-guard.ts'
import { sendError } from '@ipfleet/http/send-error.ts'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { version } from '@ipfleet/settings/version.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'

/** Where operators look, away from the port of the clients: `/metrics`, `/livez`, and `/readyz`, which fails from SIGTERM on. */
export function metricsServer(metrics: Metrics, isReady: () => boolean): Server {
  const faultOf = requestGuard()
  const server = createServer(httpServerOptions(), (req, res) => {
    const fault = faultOf(req)
    if (fault) return refuse(res, fault)
    const [path] = (req.url ?? '').split('?', 1)
    if (req.method !== 'GET' && req.method !== 'HEAD') return sendError(res, new ProxyError('method_not_allowed'))
    if (path === '/metrics') {
      metrics.render().then(
        ({ contentType, body }) => res.writeHead(200, { 'Content-Type': contentType }).end(body),
        (error: unknown) => sendError(res, ProxyError.from(error)),
      )
      return undefined
    }
    if (path !== '/livez' && path !== '/readyz') return sendError(res, new ProxyError('not_found'))
    const isGood = path === '/livez' || isReady()
    res.writeHead(isGood ? 200 : 503, {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': 'no-store',
    })
    res.end(`${JSON.stringify({ status: isGood ? 'ok' : 'unavailable', version })}\n`)
    return undefined
  })
  hardenServer(server)
  return server
}
