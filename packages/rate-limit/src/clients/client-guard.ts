import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type BudgetName, exposedFields, policyField, standingMember } from '../rate-limit-fields.ts'
import type { SlidingWindow } from '../policy.ts'
import type { Decision, PromptRateLimiter } from '../rate-limiter.ts'
import { clientId, type ClientToken } from './client-tokens.ts'
import { UnitsUnderWay } from './units-under-way.ts'
import type { RequestHead } from '@ipfleet/http-server/fast-lane/request-head.ts'
import { givenToken } from '@ipfleet/http-server/given-token.ts'
import type { ResponseWriter } from '@ipfleet/http-server/response-writer.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

/** A client whose token is known. */
interface Client extends Pick<ClientToken, BudgetName | 'name'> {
  readonly id: string
  /** Ready-made; undefined without a budget. */
  readonly policyField: string | undefined
}

/** A request that may go on. */
export interface Admission {
  readonly client: Client
  /** What was found for each budget that the client has. */
  decisions: { readonly [Name in BudgetName]?: Decision | undefined }
  /** How many units are kept for it of those that its client has left. */
  maxUnits: number
}

/** What a client has of one of its budgets, in whole requests or units and whole seconds. */
export interface BudgetUsage {
  readonly limit: number
  readonly window_seconds: number
  readonly used: number
  readonly remaining: number
  /** Until the window turns; the budgets are sliding windows, so that some of it may be back before. */
  readonly reset_seconds: number
}

/** What `GET /usage` tells; a budget that the client has not is not there. */
export interface Usage {
  /** The operator's name for the client. */
  readonly name?: string
  readonly budgets: { readonly [Name in BudgetName]?: BudgetUsage }
}

/** What an operator sees of a client: its name or the beginning of its hash, and one of its budgets if it has any. */
export interface ClientBudget {
  readonly id: string
  readonly budget?: BudgetName
  readonly usage?: BudgetUsage
}

export type BudgetLimiters = { readonly [Name in BudgetName]: PromptRateLimiter } & {
  /** How many processes share what is left of a budget. */
  members(): number
  close(): Promise<void>
}

/** Whether another replica has counted the request already, and let it in. */
export type IsCounted = (req: RequestHead) => boolean

export type ClientVerdict = 'admitted' | 'token_missing' | 'unknown_token' | 'over_requests' | 'over_units'

const budgetNames = ['requests', 'units'] as const satisfies readonly BudgetName[]
const nothing: readonly string[] = []

/**
 * Decides who may ask, and how much: with CLIENT_TOKENS every look-up needs one of them and stays within its budgets. Requests
 * are counted when they come in; upstream units when they have been caused. Near the end of a budget requests therefore
 * wait for each other, for five seconds at most, and only one that is alone on its replica may go beyond. A client without
 * units left is still answered from this replica's memory, which costs none.
 */
export class ClientGuard {
  readonly counts: Record<ClientVerdict, number> = {
    admitted: 0,
    token_missing: 0,
    unknown_token: 0,
    over_requests: 0,
    over_units: 0,
  }
  readonly #clients: ReadonlyMap<string, Client>
  readonly #limiters: BudgetLimiters
  readonly #isCounted: IsCounted
  readonly #underWay: UnitsUnderWay

  constructor(tokens: readonly ClientToken[], limiters: BudgetLimiters, isCounted: IsCounted) {
    this.#clients = new Map(tokens.map((token) => [clientId(token.secret), clientOf(token)]))
    this.#limiters = limiters
    this.#isCounted = isCounted
    this.#underWay = new UnitsUnderWay(() => limiters.members())
  }

  /**
   * For a hit in memory: the fields to add to its answer, or undefined when it takes more to say whether it is
   * admitted. Then nothing has been counted, and `admit` decides.
   */
  admitNow(req: RequestHead): readonly string[] | undefined {
    const client = this.#known(givenToken(req))
    if (client === undefined) return undefined
    if (client.policyField === undefined) return this.#admitted(nothing)
    if (this.#isCounted(req)) return undefined
    const { requests: budget } = client
    const decision = budget && this.#limiters.requests.takeNow(client.id, budget)
    if (budget && decision?.kind !== 'allowed') return undefined
    return this.#admitted(fieldsOf({ client, decisions: { requests: decision } }))
  }

  /**
   * Counts the request and says whether it may go on. The budget fields are set on the answer either way. What is admitted
   * has to be settled, however it ends.
   * What a POST may cost is not known yet: before it asks upstream it has to `reserve` that.
   * @param mayAskUpstream whether it may cost units: one that cannot needs none to be left, and need not be settled
   * @throws ProxyError `token_missing`, `unknown_token`, `rate_limited`; `client_left` while it waited
   */
  async admit(req: IncomingMessage, res: ResponseWriter, mayAskUpstream = true): Promise<Admission> {
    const client = this.#identified(req, res)
    const { id, units: budget } = client
    if (budget === undefined || !mayAskUpstream) return this.#admitRequest(req, res, { client })
    // Units first: a request that is refused for want of them has not used up one of its requests.
    if (req.method === 'POST') {
      const units = await this.#limiters.units.check(id, budget)
      return this.#admitRequest(req, res, { client, units })
    }
    const units = await this.#enter(client, budget, 1, res)
    try {
      return await this.#admitRequest(req, res, { client, units, maxUnits: 1 })
    } catch (error) {
      if (units.kind === 'allowed') this.#underWay.leave(id, 1)
      throw error
    }
  }

  /**
   * Keeps of what the client has left what a list may cost, which shows when that has been read.
   * @throws ProxyError `rate_limited`; `client_left` while it waited
   */
  async reserve(res: ResponseWriter, admission: Admission, maxUnits: number): Promise<void> {
    const { client, decisions } = admission
    if (client.units === undefined) return
    const units = await this.#enter(client, client.units, maxUnits, res)
    admission.decisions = { ...decisions, units }
    if (units.kind === 'allowed') admission.maxUnits = maxUnits
    else {
      setFields(res, admission)
      throw this.#refused('over_units', overLimit('units', units))
    }
  }

  #enter({ id }: Client, budget: SlidingWindow, maxUnits: number, res: ResponseWriter): Promise<Decision> {
    const check = (): Promise<Decision> => this.#limiters.units.check(id, budget)
    return this.#underWay.enter(id, { maxUnits, check, hasLeft: () => res.destroyed })
  }

  async #admitRequest(
    req: IncomingMessage,
    res: ResponseWriter,
    { client, units, maxUnits = 0 }: Pick<Admission, 'client'> & Partial<{ units: Decision; maxUnits: number }>,
  ): Promise<Admission> {
    const isFree = units?.kind === 'limited' || this.#isCounted(req)
    const requests = client.requests && (await this.#takeRequest(client.id, client.requests, isFree))
    const admission: Admission = { client, decisions: { requests, units }, maxUnits }
    setFields(res, admission)
    if (units?.kind === 'limited') throw this.#refused('over_units', overLimit('units', units))
    if (requests?.kind === 'limited' && !isFree) throw this.#refused('over_requests', overLimit('requests', requests))
    this.counts.admitted += 1
    return admission
  }

  /** What the client has used of its budgets. Counts nothing. @throws ProxyError `token_missing`, `unknown_token` */
  async usage(req: IncomingMessage, res: ResponseWriter): Promise<Usage> {
    const client = this.#identified(req, res)
    const { name } = client
    return { ...(name !== undefined && { name }), budgets: Object.fromEntries(await this.#used(client)) }
  }

  /** Counts the upstream units that an admitted request has caused, before its answer is written. */
  settle(res: ResponseWriter, { client, decisions, maxUnits }: Admission, units: number): void {
    const { units: before } = decisions
    if (before === undefined || client.units === undefined) return
    if (units > 0) {
      // Not waited for: the answer is there, and the count can follow.
      void this.#limiters.units.charge(client.id, client.units, units)
      const after = { ...before, remaining: Math.max(0, before.remaining - units) }
      setFields(res, { client, decisions: { ...decisions, units: after } })
    }
    if (maxUnits > 0) this.#underWay.leave(client.id, maxUnits)
  }

  /** All clients with what they have used, for operators: one entry for each budget, or one without. */
  async all(): Promise<ClientBudget[]> {
    const clients = await Promise.all(
      Array.from(this.#clients.values(), async (client): Promise<ClientBudget[]> => {
        const id = client.name ?? client.id.slice(0, 12)
        const used = await this.#used(client)
        return used.length === 0 ? [{ id }] : used.map(([budget, usage]) => ({ id, budget, usage }))
      }),
    )
    return clients.flat()
  }

  async #used(client: Client): Promise<(readonly [BudgetName, BudgetUsage])[]> {
    const used = await Promise.all(
      budgetNames.map(async (name) => {
        const policy = client[name]
        return policy ? [[name, usageOf(policy, await this.#limiters[name].check(client.id, policy))] as const] : []
      }),
    )
    return used.flat()
  }

  /** What a client has left of its units, for work that it does not wait for; undefined without such a budget. */
  async unitsOf(id: string): Promise<Decision | undefined> {
    const units = this.#clients.get(id)?.units
    return units && this.#limiters.units.check(id, units)
  }

  /** Counts units that such work has caused. Not waited for. */
  chargeUnits(id: string, count: number): void {
    const units = this.#clients.get(id)?.units
    if (units) void this.#limiters.units.charge(id, units, count)
  }

  /** Reports what others do not know yet. While Redis is still there. */
  close(): Promise<void> {
    return this.#limiters.close()
  }

  /** @throws ProxyError `token_missing`, `unknown_token` */
  #identified(req: IncomingMessage, res: ResponseWriter): Client {
    const token = givenToken(req)
    if (token === undefined) {
      res.setHeader('WWW-Authenticate', 'Bearer')
      throw this.#refused('token_missing', new ProxyError('token_missing'))
    }
    const client = this.#known(token)
    if (client === undefined) throw this.#refused('unknown_token', new ProxyError('unknown_token'))
    return client
  }

  /** Only hashes are compared, so that the time taken says nothing about a token. */
  #known(token: string | undefined): Client | undefined {
    return token === undefined ? undefined : this.#clients.get(clientId(token))
  }

  #takeRequest(id: string, budget: NonNullable<Client['requests']>, isFree: boolean): Promise<Decision> {
    const { requests } = this.#limiters
    return isFree ? requests.check(id, budget) : requests.take(id, budget)
  }

  #admitted(fields: readonly string[]): readonly string[] {
    this.counts.admitted += 1
    return fields
  }

  #refused(verdict: ClientVerdict, error: ProxyError): ProxyError {
    this.counts[verdict] += 1
    return error
  }
}

function usageOf({ limit, windowMs }: SlidingWindow, { remaining, resetMs }: Decision): BudgetUsage {
  return {
    limit,
    window_seconds: Math.ceil(windowMs / 1000),
    used: limit - remaining,
    remaining,
    reset_seconds: Math.ceil(resetMs / 1000),
  }
}

type Standings = Pick<Admission, 'client' | 'decisions'>

function clientOf({ secret, ...client }: ClientToken): Client {
  return { ...client, id: clientId(secret), policyField: policyField(client) || undefined }
}

function fieldsOf({ client, decisions }: Standings): readonly string[] {
  if (client.policyField === undefined) return nothing
  const { requests, units } = decisions
  const standings = [requests && standingMember('requests', requests), units && standingMember('units', units)]
  const fields = ['RateLimit-Policy', client.policyField, 'Access-Control-Expose-Headers', exposedFields]
  const standing = standings.filter(Boolean).join(', ')
  return standing === '' ? fields : ['RateLimit', standing, ...fields]
}

function setFields(res: ResponseWriter, admission: Standings): void {
  const fields = fieldsOf(admission)
  const isExposed = res.hasHeader('RateLimit-Policy')
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [name = '', value = ''] = fields.slice(index, index + 2)
    // The service may expose fields of its own.
    if (name !== 'Access-Control-Expose-Headers') res.setHeader(name, value)
    else if (!isExposed) res.appendHeader(name, value)
  }
}

function overLimit(name: BudgetName, { retryAfterMs }: Extract<Decision, { kind: 'limited' }>): ProxyError {
  const what = name === 'units' ? 'upstream units' : 'requests'
  return new ProxyError('rate_limited', {
    message: `You've hit the limit of ${what} of your token; try again after the time in Retry-After`,
    retryAfterSeconds: wholeSeconds(retryAfterMs),
  })
}
