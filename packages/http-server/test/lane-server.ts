import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { trackConnections } from '../src/connection-tracker.ts'
import { openFastLane } from '../src/fast-lane/fast-lane.ts'
import type { LaneHandlers } from '../src/fast-lane/plain-connection.ts'
import { type ConnectionRefusal, hardenServer, httpServerOptions, type ServerLimits } from '../src/harden-server.ts'
import { inTurn } from '../src/in-turn.ts'
import { listen } from '../src/listen.ts'

export interface LaneServer {
  readonly server: Server
  readonly port: number
  /** Who answered, in order. */
  readonly answeredBy: ('lane' | 'http')[]
  readonly refusals: ConnectionRefusal[]
  /** Settled when a request to `/hold` has come. */
  readonly holding: Promise<void>
  /** Has it answered. */
  readonly release: () => void
  readonly stop: () => void
}

export type Lane = 'answering' | 'serving' | 'both'

export interface LaneServerOptions {
  readonly limits?: ServerLimits
  /** Of answers of the lane. */
  readonly padding?: string
  /**
   * `answering` (default): answers `/hit…` as it reads. `serving`: answers all plain requests, at once or later. `both`:
   * answers `/hit`, and serves other plain requests whose path has a number.
   */
  readonly lane?: Lane | 'none'
}

/** Both the lane and node:http answer with what was asked. */
export async function startLaneServer({
  limits = {},
  padding = '',
  lane = 'answering',
}: LaneServerOptions = {}): Promise<LaneServer> {
  const answeredBy: ('lane' | 'http')[] = []
  const refusals: ConnectionRefusal[] = []
  const holding = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const hold = (): Promise<void> => {
    holding.resolve()
    return released.promise
  }
  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (req.url === '/hold') await hold()
    const body = `${req.method} ${req.url} ${await text(req).catch(() => 'cut')}`
    answeredBy.push('http')
    res.writeHead(200, ['Content-Length', String(body.length)]).end(body)
  }
  const server = createServer(
    httpServerOptions(limits),
    inTurn((req, res) => void serve(req, res)),
  )
  const answer: LaneHandlers['answer'] = ({ url = '' }, connectionFields) => {
    if (!url.startsWith('/hit') || (lane === 'both' && url !== '/hit')) return undefined
    answeredBy.push('lane')
    const body = `GET ${url} ${padding}`
    return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${connectionFields}\r\n${body}`
  }
  const serveInLane: NonNullable<LaneHandlers['serve']> = async (req, exchange) => {
    const { method, url = '' } = req
    if (url === '/hold') await hold()
    else if (url.includes('/2')) await nextTurn()
    answeredBy.push('lane')
    const body = `${method} ${url} ${padding}`
    const lines = ['Content-Length', String(body.length)]
    const { date, connection } = exchange.connectionFields()
    if (url.includes('/3') || !exchange.staysOpen) exchange.response().writeHead(200, lines).end(body)
    else {
      const head = `HTTP/1.1 200 OK\r\n${lines.join(': ')}\r\n${date}${connection}\r\n`
      exchange.end(method === 'HEAD' ? head : head + body)
    }
  }
  if (lane === 'answering') openFastLane(server, { answer })
  else if (lane === 'both') openFastLane(server, { answer, takes: ({ url }) => /\d/.test(url), serve: serveInLane })
  else if (lane === 'serving') openFastLane(server, { serve: serveInLane }, { takesHead: true })
  hardenServer(server, limits, (refusal) => refusals.push(refusal))
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  const stop = (): void => {
    server.close()
    trackConnections(server).destroyAll()
  }
  return { server, port, answeredBy, refusals, holding: holding.promise, release: released.resolve, stop }
}

export const get = (path: string, ...fields: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n')
export const post = (path: string, body: string, ...fields: string[]): string =>
  [`POST ${path} HTTP/1.1`, 'Host: a', `Content-Length: ${body.length}`, ...fields, '', body].join('\r\n')
