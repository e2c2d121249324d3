import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AnsweredQuery, ConsoleKey, Overview, Session } from '../src/contract.ts'
import { PageFiles } from '../src/page-files.ts'
import { readReference } from '../src/reference-routes.ts'

export interface FakeConsoleOptions {
  readonly session?: Partial<Session>
  /** What every overview says; called anew for each. */
  readonly overview: () => Overview
  readonly answered?: AnsweredQuery
  /** What is answered to a change of a key. */
  readonly changed?: ConsoleKey
  /** What is answered below `/jobs`. */
  readonly jobs?: (request: IncomingMessage, response: ServerResponse) => void
  /** How often an overview is sent. Default 2 s, as the real one does. */
  readonly intervalMs?: number
}

const answered: AnsweredQuery = {
  query: '8.8.8.8',
  status: 200,
  record: { ip: '8.8.8.8', city: 'Mountain View', country: 'US', loc: '37.4056,-122.0775', org: 'AS15169 Google LLC' },
  tier: 'redis',
  ageSeconds: 320,
  ttlSeconds: 86_080,
  keyClass: 'core',
  units: 0,
  nextCosts: 0,
}

/** The page with data of a test's own, where a fleet with such data would take long, or many processes. */
export class FakeConsole implements Disposable {
  readonly #server: Server
  readonly #options: FakeConsoleOptions
  readonly #files = new PageFiles()
  readonly #streams = new Set<ServerResponse>()
  /** Bytes of all answers with files of the page, as they travel. */
  fileBytes = 0
  /** What the page has changed, and the CSRF token with which. */
  readonly changes: (readonly [method: string | undefined, path: string, csrf: string | string[] | undefined])[] = []
  /** Whether it answers 503 in place of data. */
  refuses = false

  static async start(options: FakeConsoleOptions): Promise<FakeConsole> {
    const fake = new FakeConsole(options)
    fake.#server.listen(0, '127.0.0.1')
    await once(fake.#server, 'listening')
    return fake
  }

  private constructor(options: FakeConsoleOptions) {
    this.#options = options
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/console`
  }

  /** Ends all streams of events, as a server that stops does. */
  breakStreams(): void {
    for (const stream of this.#streams) stream.destroy()
  }

  [Symbol.dispose](): void {
    // A page that is still open may be connecting again: there is no waiting for an end of that.
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, search } = new URL(request.url ?? '/', 'http://fake')
    const path = pathname.replace(/^\/console/, '') || '/'
    if (pathname.startsWith('/jobs') && this.#options.jobs) this.#options.jobs(request, response)
    else if (path.startsWith('/api/') && this.refuses) response.writeHead(503).end()
    else if (request.method !== 'GET') {
      this.changes.push([request.method, path + search, request.headers['x-csrf-token']])
      this.#json(response, this.#options.changed ?? {})
    } else if (path === '/api/session') this.#json(response, this.#session())
    else if (path === '/api/overview') this.#json(response, this.#options.overview())
    else if (path === '/api/events') this.#stream(response)
    else if (path === '/api/lookup') this.#json(response, this.#options.answered ?? answered)
    else if (path === '/reference') response.setHeader('Content-Type', 'text/html').end(readReference())
    else this.#file(path, response)
  }

  #session(): Session {
    const features = { jobs: this.#options.jobs !== undefined, egress: true, edge: true, keys: true, redis: true }
    return { role: 'admin', by: 'loopback', csrf: 'fake', features, version: '0.1.0', ...this.#options.session }
  }

  #json(response: ServerResponse, value: unknown): void {
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(value))
  }

  #stream(response: ServerResponse): void {
    response.setHeader('Content-Type', 'text/event-stream')
    this.#streams.add(response)
    const send = (): void => {
      response.write(`event: overview\ndata: ${JSON.stringify(this.#options.overview())}\n\n`)
    }
    send()
    const timer = setInterval(send, this.#options.intervalMs ?? 2000)
    response.once('close', () => {
      clearInterval(timer)
      this.#streams.delete(response)
    })
  }

  #file(path: string, response: ServerResponse): void {
    const file = this.#files.file(path)
    if (file === undefined) return void response.writeHead(404).end()
    const body = file.gzipped ?? file.body
    this.fileBytes += body.length
    response.setHeader('Content-Type', file.contentType)
    if (file.gzipped) response.setHeader('Content-Encoding', 'gzip')
    response.end(body)
  }
}
