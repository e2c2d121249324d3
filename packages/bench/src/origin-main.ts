import { createServer } from 'node:http'
import { originBody } from './origin-body.ts'

/** The origin for machines without nginx: node origin-main.ts PORT BODY_BYTES */

const [port = '0', bodyBytes = '0'] = process.argv.slice(2)
const body = originBody(Number(bodyBytes))
const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }

createServer({ keepAliveTimeout: 75_000 }, (_, res) => res.writeHead(200, headers).end(body)).listen(
  Number(port),
  '127.0.0.1',
)
