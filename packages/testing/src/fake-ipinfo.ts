import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIPv6 } from 'node:net'
import type { Clock } from '@ipfleet/core/clock.ts'
import { Accounts, type FakeKey } from './fake-ipinfo/accounts.ts'
import { type Answer, contentTypes, refusals, wireForm, type WireForm } from './fake-ipinfo/answer.ts'
import { BlockedAddresses } from './fake-ipinfo/blocked-addresses.ts'
import { CallLog, type FakeCall, type FakeStats, pathnameOf } from './fake-ipinfo/call-log.ts'
import { control } from './fake-ipinfo/control-routes.ts'
import { Delays } from './fake-ipinfo/delays.ts'
import { type Behaviour, type Fate, Faults, type FaultScope, type Gate } from './fake-ipinfo/faults.ts'
import { deliverBadly } from './fake-ipinfo/faulty-delivery.ts'
import type { FakeIpinfoOptions } from './fake-ipinfo/options.ts'
import { apiPrefix, type FakeRequest, readBody, readRequest } from './fake-ipinfo/request.ts'
import { apiHeads } from './fake-ipinfo/plans.ts'
import { batchItems, type FakeState, respond } from './fake-ipinfo/respond.ts'

/** A fake IPinfo that runs: both hosts on one port. A request is for the host that its Host names, or its URL here. */
export interface FakeIpinfo {
  readonly port: number
  /** Of ipinfo.io, without a slash at its end. */
  readonly url: string
  /** The same of api.ipinfo.io. */
  readonly apiUrl: string
  /** A path as it is asked for below `url`, on the host that has it: `/lite/8.8.8.8` is api.ipinfo.io's. */
  onItsHost(path: string): string
  /** Every request that arrived, oldest first. */
  readonly calls: readonly FakeCall[]
  /** The calls to that path, whatever their query. */
  callsTo(path: string): FakeCall[]
  /** Requests by token; `""` is the keyless surface. */
  countByToken(): Readonly<Record<string, number>>
  stats(): FakeStats
  clearCalls(): void
  /** The first matching call that arrives from now on. Never resolves if none does. */
  nextCall(matches?: (call: FakeCall) => boolean): Promise<FakeCall>
  /** Resolves when `count` matching calls are in the log. */
  waitForCalls(count: number, matches?: (call: FakeCall) => boolean): Promise<FakeCall>
  /** Arms a fault until `heal`, its `times`, or a call of what this gives. `status`, storms and `redirect` charge no quota. */
  behave(behaviour: Behaviour): () => void
  heal(): void
  /** Holds the answers of matching calls, all unless told, until the gate is released. */
  hold(scope?: FaultScope): Gate
  resetQuota(token?: string): void
  /** Changes what a key may do; it keeps what it has used. Undefined: the token is unknown from now on. */
  setKey(token: string, key: FakeKey | undefined): void
  /** The addresses about which every key is refused, in place of those before. */
  block(addresses: readonly string[]): void
  /** Ends every connection, answered or not. */
  close(): Promise<void>
}

const maxBodyBytes = 4 * 1024 * 1024
const controlPrefix = '/_fake/'

class Fake implements FakeIpinfo {
  readonly #options: FakeIpinfoOptions
  readonly #clock: Clock
  readonly #log: CallLog
  readonly #faults = new Faults()
  readonly #accounts: Accounts
  readonly #blocked: BlockedAddresses
  readonly #delays = new Delays()
  readonly #usedConnections = new WeakSet<object>()
  readonly #server: Server
  #port = 0

  constructor(options: FakeIpinfoOptions) {
    const { keys, requireToken = true, keylessQuota = 0, clock = epochClock } = options
    this.#options = options
    this.#clock = clock
    this.#log = new CallLog(options.maxCalls)
    this.#accounts = new Accounts({ keys, requireToken, keylessQuota, nowMs: () => clock.nowMs() })
    this.#blocked = new BlockedAddresses(options.blocked)
    // A long keep-alive, as the real one's load balancer has (600 s): the clients' side decides when to close.
    this.#server = createServer({ keepAliveTimeout: 600_000, noDelay: true }, (req, res) => this.#take(req, res))
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    const { host = '127.0.0.1' } = this.#options
    return `http://${isIPv6(host) ? `[${host}]` : host}:${this.port}`
  }

  get apiUrl(): string {
    return this.url + apiPrefix
  }

  onItsHost(path: string): string {
    return apiHeads.has(path.split(/[/?]/).find(Boolean) ?? '') ? apiPrefix + path : path
  }

  get calls(): readonly FakeCall[] {
    return this.#log.calls
  }

  async listen(): Promise<void> {
    const { port = 0, host = '127.0.0.1' } = this.#options
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  callsTo(path: string): FakeCall[] {
    return this.#log.calls.filter((call) => pathnameOf(call.path) === path)
  }

  countByToken(): Readonly<Record<string, number>> {
    return this.#log.stats().byToken
  }

  stats(): FakeStats {
    return this.#log.stats()
  }

  clearCalls(): void {
    this.#log.clear()
  }

  nextCall(matches: (call: FakeCall) => boolean = always): Promise<FakeCall> {
    return this.#log.next(matches)
  }

  waitForCalls(count: number, matches: (call: FakeCall) => boolean = always): Promise<FakeCall> {
    return this.#log.reach(count, matches)
  }

  behave(behaviour: Behaviour): () => void {
    return this.#faults.behave(behaviour)
  }

  heal(): void {
    this.#faults.heal()
  }

  hold(scope: FaultScope = {}): Gate {
    return this.#faults.hold(scope)
  }

  resetQuota(token?: string): void {
    this.#accounts.reset(token)
  }

  setKey(token: string, key: FakeKey | undefined): void {
    this.#accounts.setKey(token, key)
  }

  block(addresses: readonly string[]): void {
    this.#blocked.set(addresses)
  }

  async close(): Promise<void> {
    this.#delays.close()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  /** A GET without faults is answered at once; everything else takes its time. */
  #take(req: IncomingMessage, res: ServerResponse): void {
    if (this.#options.hasControl === true && req.url?.startsWith(controlPrefix) === true) {
      this.#control(req, res).catch(destroying(res))
    } else if (req.method === 'GET' || req.method === 'HEAD') {
      this.#answer(readRequest(req, ''), res)
    } else {
      this.#takeBody(req, res).catch(destroying(res))
    }
  }

  async #takeBody(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await readBody(req, maxBodyBytes)
    if (body === undefined) this.#send(readRequest(req, ''), refusals.bodyTooLarge, res)
    else this.#answer(readRequest(req, body), res)
  }

  #answer(request: FakeRequest, res: ServerResponse): void {
    const call = this.#logged(request, res)
    const fate = this.#faults.fateOf(call)
    const isReplaced = fate.fault?.kind === 'status' || fate.fault?.kind === 'redirect'
    // Charged on arrival: a batch whose client gave up has used its quota all the same.
    const answer = isReplaced ? refusals.notFound : respond(request, this.#state)
    const latencyMs = fate.latencyMs + (this.#options.latencyMs ?? 0)
    if (latencyMs === 0 && fate.held === undefined && fate.fault === undefined) {
      call.status = this.#send(request, answer, res)
    } else {
      this.#answerLate(request, answer, { ...fate, latencyMs }, call, res).catch(destroying(res))
    }
  }

  async #answerLate(
    request: FakeRequest,
    answer: Answer,
    { latencyMs, held, fault }: Fate,
    call: FakeCall,
    res: ServerResponse,
  ): Promise<void> {
    if (latencyMs > 0) await this.#delays.wait(latencyMs)
    await held
    if (fault === undefined) {
      call.status = this.#send(request, answer, res)
      return
    }
    const { headers, body } = this.#bytesOf(request, answer)
    const delay = (ms: number): Promise<void> => this.#delays.wait(ms)
    const delivered = deliverBadly(fault, res, { status: answer.status, headers, body, delay })
    if (res.headersSent) call.status = res.statusCode
    await delivered
  }

  #send(request: FakeRequest, answer: Answer, res: ServerResponse): number {
    if (request.method === 'OPTIONS') {
      res.writeHead(204, { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' }).end()
      return 204
    }
    const { headers, body } = this.#bytesOf(request, answer)
    res.writeHead(answer.status, headers).end(body)
    return answer.status
  }

  #bytesOf(request: FakeRequest, answer: Answer): WireForm {
    const wire = wireForm(answer, request.query.get('callback'))
    const { retryAfterSeconds, rateLimitHeaders = false } = this.#options
    if (answer.status === 429 && retryAfterSeconds !== undefined) wire.headers['retry-after'] = retryAfterSeconds
    const allowance = rateLimitHeaders ? this.#accounts.allowance(request.token) : undefined
    if (allowance !== undefined) {
      wire.headers['x-ratelimit-limit'] = allowance.limit
      wire.headers['x-ratelimit-remaining'] = allowance.remaining
    }
    return wire
  }

  get #state(): FakeState {
    return { accounts: this.#accounts, blocked: this.#blocked, nowMs: () => this.#clock.nowMs() }
  }

  #logged(request: FakeRequest, { socket }: ServerResponse): FakeCall {
    const { method, host, target: path, token } = request
    const isReused = socket !== null && this.#usedConnections.has(socket)
    if (socket !== null) this.#usedConnections.add(socket)
    const items = batchItems(request)
    const call: FakeCall = {
      method,
      host,
      path,
      isReused,
      token,
      ...(items && { items }),
      atMs: this.#clock.nowMs(),
      status: undefined,
    }
    this.#log.add(call)
    return call
  }

  async #control(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = (await readBody(req, maxBodyBytes)) ?? ''
    const route = `${req.method} ${pathnameOf(req.url ?? '').slice(controlPrefix.length)}`
    const delay = (ms: number): Promise<void> => this.#delays.wait(ms)
    const parts = { log: this.#log, faults: this.#faults, accounts: this.#accounts, blocked: this.#blocked, delay }
    const { status, value } = await control(route, body, parts)
    res.writeHead(status, { 'content-type': contentTypes.json }).end(JSON.stringify(value))
  }
}

const epochClock: Clock = { nowMs: () => performance.timeOrigin + performance.now() }

function always(): boolean {
  return true
}

function destroying(res: ServerResponse): (error: unknown) => void {
  return () => res.destroy()
}

/** Starts a fake IPinfo in this process. Rejects if the port is taken. */
export async function startFakeIpinfo(options: FakeIpinfoOptions = {}): Promise<FakeIpinfo> {
  const fake = new Fake(options)
  await fake.listen()
  return fake
}
