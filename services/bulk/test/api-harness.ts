import { createServer, request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createClientGuard } from '@ipfleet/rate-limit/clients/create-client-guard.ts'
import type { ClientToken } from '@ipfleet/rate-limit/clients/client-tokens.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import { clientAddress } from '@ipfleet/net/client-address.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http-server/harden-server.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { createApp } from '../src/app.ts'
import { JobNames } from '../src/jobs/job-keys.ts'
import { JobChanges } from '../src/jobs/job-changes.ts'
import { JobStore } from '../src/jobs/job-store.ts'
import { JobSummaries } from '../src/jobs/job-summaries.ts'
import type { Job } from '../src/jobs/job.ts'
import { serviceSlots } from '../src/limits/slot-limiter.ts'
import { ResultReader } from '../src/results/result-reader.ts'
import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { StorageQuota } from '../src/limits/storage-quota.ts'
import { answerRow, errorRow, linesOf, rowsIn } from '@ipfleet/ip-lists/result-line.ts'
import type { UploadLimits } from '../src/http/upload.ts'

export interface ApiHarnessOptions {
  readonly tokens?: readonly ClientToken[]
  readonly maxLines?: number
  readonly maxBytes?: number
  readonly maxStoredBytes?: number
  readonly maxJobs?: number
  readonly maxFollowers?: number
  readonly uploads?: UploadLimits
  readonly stillThereMs?: number
  readonly heartbeatMs?: number
  readonly maxStallMs?: number
  readonly redisArgs?: readonly string[]
  /** A Redis of another harness, which is there for longer than this one. */
  readonly redis?: TestRedis
  /** Default: so long that no test fails by a machine that is busy. */
  readonly redisTimeoutMs?: number
}

export interface ApiRequest {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer | Readable
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly trailers: IncomingMessage['trailers']
  readonly bytes: Buffer
  readonly text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- as tests look into it
  readonly json: () => any
}

/** The HTTP API over a real Redis. No worker looks anything up: chunks are done when a test says so. */
export class ApiHarness implements AsyncDisposable {
  readonly submitted: string[] = []
  readonly cancelled: string[] = []
  readonly webhooks: string[] = []
  /** Callbacks on this host are refused. */
  readonly refusedHost = 'refused.example'
  readonly redis: TestRedis
  readonly link: RedisLink
  readonly store: JobStore
  readonly streams = new AbortController()
  /** Set: what adding to the queue throws. */
  submitFault: Error | undefined
  isReady = true
  port = 0
  readonly logged: string[] = []
  readonly #closers: (() => unknown)[] = []

  private constructor(redis: TestRedis, timeoutMs: number) {
    this.redis = redis
    this.link = new RedisLink({ url: redis.url, name: 'api-test', timeoutMs })
    this.store = new JobStore(this.link, { resultTtlMs: 3_600_000 })
    this.#closers.push(() => this.link.close())
  }

  static async start(options: ApiHarnessOptions = {}): Promise<ApiHarness> {
    const redis = options.redis ?? (await startTestRedis({ args: options.redisArgs ?? [] }))
    const harness = new ApiHarness(redis, options.redisTimeoutMs ?? 15_000)
    if (options.redis === undefined) harness.#closers.unshift(() => redis.stop())
    await harness.#start(options)
    return harness
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** A whole answer. Rejects when it is cut off. */
  async ask(path: string, question: ApiRequest = {}): Promise<Answer> {
    const res = await this.open(path, question)
    const bytes = await buffer(res)
    const text = bytes.toString()
    return {
      status: res.statusCode ?? 0,
      headers: res.headers,
      trailers: res.trailers,
      bytes,
      text,
      json: () => JSON.parse(text) as unknown,
    }
  }

  /** The head of an answer, which is then to be read. */
  async open(path: string, { method = 'GET', headers = {}, body }: ApiRequest = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const req = request(`${this.url}${path}`, { method, headers, agent: false })
    req.on('response', resolve).on('error', reject)
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) req.end(body)
    else body.pipe(req)
    return promise
  }

  post(body: NonNullable<ApiRequest['body']>, path = '/jobs', headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.ask(path, { method: 'POST', headers: { 'content-type': 'text/plain', ...headers }, body })
  }

  /** The id of a job of so many lines; 1,000 make a chunk. */
  async job(lines: number | string, path = '/jobs', headers: OutgoingHttpHeaders = {}): Promise<string> {
    const body = typeof lines === 'string' ? lines : addressLines(lines)
    const answer = await this.post(body, path, headers)
    if (answer.status !== 202) throw new Error(`${answer.status}: ${answer.text}`)
    return String(answer.json().id)
  }

  /** Does a chunk as a worker would. @returns its lines */
  async finish(id: string, index: number): Promise<string> {
    const begun = await this.store.begin(id, index)
    if (begun.kind !== 'inputs') throw new Error(`chunk ${index} is ${begun.kind}`)
    const lines = begun.inputs.map((input) => resultLine(input, begun.fields))
    const errors = lines.filter((line) => line.includes('"error":')).length
    const body = Buffer.from(lines.join(''))
    const summary = new IpSummary()
    summary.addResults(rowsIn(body))
    await this.store.finish(id, index, {
      summary: summary.toPart(),
      body,
      lines: lines.length,
      answered: lines.length - errors,
      cached: 0,
      errors: errors > 0 ? { wrong_ip: errors } : {},
    })
    return body.toString()
  }

  /** @returns all results */
  async finishAll(id: string): Promise<string> {
    const { chunks } = await this.read(id)
    let all = ''
    for (let index = 0; index < chunks.total; index += 1) all += await this.finish(id, index)
    return all
  }

  async read(id: string): Promise<Job> {
    const job = await this.store.read(id)
    if (job === undefined) throw new Error('no such job')
    return job
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.toReversed()) await close()
  }

  async #start({
    tokens = [],
    maxLines = 1_000_000,
    maxBytes = 5_000_000,
    maxStoredBytes = 0,
    maxJobs = 1000,
    maxFollowers = 200,
    ...limits
  }: ApiHarnessOptions): Promise<void> {
    const subscriber = new Subscriber({ url: this.redis.url })
    const changes = new JobChanges()
    const clients = createClientGuard({ tokens, link: undefined, service: 'bulk' })
    const logger = createLogger({
      level: 'debug',
      format: 'json',
      secrets: [],
      destination: { write: (line: string) => void this.logged.push(line) },
    })
    const quota = new StorageQuota({ store: this.store, maxBytes: maxStoredBytes, maxJobs, sharePercent: 50 })
    changes.onCancelled((id) => void this.cancelled.push(id))
    const clientOf = clientAddress({ trusted: ['127.0.0.1'] })
    const app = createApp({
      takesJobs: true,
      store: this.store,
      changes,
      summaries: new JobSummaries(this.link, this.store, new ResultReader(this.store, changes)),
      queue: {
        add: async (id) => {
          if (this.submitFault) throw this.submitFault
          this.submitted.push(id)
        },
      },
      quota,
      slots: serviceSlots(
        {
          BULK_CLIENT_SHARE_PERCENT: 50,
          BULK_UPLOAD_MEMORY_BYTES: 64 * 1024 * 1024,
          BULK_MAX_DOWNLOADS: 20,
          BULK_MAX_FOLLOWERS: maxFollowers,
        },
        () => {},
      ),
      clientOf,
      callbacks: {
        check: async (given) => this.#checkCallback(given),
        resend: async (id) => void this.webhooks.push(id),
      },
      clients,
      limits: { maxLines, maxBytes, maxRatio: 50 },
      ...limits,
      accessLog: new AccessLog({ logger }),
      probes: {
        metrics: createMetrics({ defaultMetrics: false }),
        health: async () => ({ status: 'ok' }),
        isReady: () => this.isReady,
      },
      streams: this.streams.signal,
    })
    const server = createServer(httpServerOptions({ requestTimeoutMs: 0 }), app)
    hardenServer(server)
    passOnExpectations(server)
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    this.port = (server.address() as AddressInfo).port
    this.#closers.push(
      () => subscriber.close(),
      () => server.closeAllConnections(),
      () => void server.close(),
      () => clients?.close(),
      () => this.streams.abort(),
    )
    await changes.follow(subscriber, new JobNames(this.link.names))
    await until(() => this.link.up)
  }

  #checkCallback(given: string): string {
    const url = URL.parse(given)
    if (url?.protocol !== 'https:') throw new ProxyError('bad_request', { message: 'The callback is no URL' })
    if (url.hostname === this.refusedHost) throw new ProxyError('target_refused')
    return url.href
  }
}

export const cityOf = (address: string): string => `City of ${address}, "Ü"`

function resultLine(input: string, fields: readonly string[] | undefined): string {
  const address = canonicalAddress(input.trim())
  if (address === undefined) {
    const error = { code: 'wrong_ip', title: 'Wrong ip', message: 'Please provide a valid IP address' }
    return linesOf([errorRow(input, error)])
  }
  const record = { ip: address, city: cityOf(address), asn: { name: 'Example', asn: 'AS64500' } }
  return linesOf([answerRow(input, record, fields)])
}

export function addressOf(number: number): string {
  return `${20 + ((number >> 16) % 80)}.${(number >> 8) & 255}.${number & 255}.9`
}

/** So many distinct ones, a line each. */
export function addressLines(count: number): string {
  return `${Array.from({ length: count }, (_, number) => addressOf(number)).join('\n')}\n`
}
