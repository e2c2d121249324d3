import { Agent, createServer, ServerResponse } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

/** A reverse proxy as users of http-proxy-3 write it: node http-proxy-main.ts PORT ORIGIN_URL */

const [port = '0', target = ''] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxFreeSockets: Number.POSITIVE_INFINITY })
const proxy = createProxyServer({ target, agent, xfwd: true })
proxy.on('error', (_error, _req, res) => {
  if (res instanceof ServerResponse) res.writeHead(502).end()
})

createServer({ keepAliveTimeout: 75_000 }, (req, res) => proxy.web(req, res)).listen(Number(port), '127.0.0.1')
