import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/**
 * A small backend to try the edge with: it answers every request with what it received, as one line of JSON that names
 * it. `node echo-backend.ts PORT`; 0 takes a free one.
 */
const server = createServer(async (req, res) => {
  const body = await buffer(req).then(String, () => undefined)
  const { port } = server.address() as AddressInfo
  const { method, url: path, headers } = req
  res.setHeader('Content-Type', 'application/json')
  res.end(`${JSON.stringify({ backend: `127.0.0.1:${port}`, method, path, headers, body })}\n`)
})
// Longer than the edge keeps a connection that it does not use.
server.keepAliveTimeout = 65_000
server.listen(Number(process.argv[2] ?? 8000), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`{"msg":"listening","port":${port}}\n`)
})
