import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { Outcome } from '@ipfleet/cache/outcome.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { Demand, Exhausted, Ticket } from '@ipfleet/key-pool/ticket.ts'
import { currentClient } from '@ipfleet/http-server/request-id.ts'
import { refreshReserveShare } from '@ipfleet/key-pool/quota.ts'
import type { Product } from '@ipfleet/upstream/product.ts'
import { offers } from '@ipfleet/upstream/providers/provider.ts'
import type { Reply, UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import type { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import type { SourceWatch, UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import type { KeyCheck } from '../keys/key-check.ts'
import { exhausted, failed, failureOf, originOf, rememberedRefusal, withoutKeys } from './load-outcomes.ts'
import { holdsFullRecords, richnessOf } from './richness.ts'
import type { LoadOptions, Upstream } from './upstream.ts'
import { type Recorded, UpstreamTries } from './upstream-tries.ts'
import { isRefusedBatch, limitOf, ofItems, refusedItems, sensible, verdictOf } from './verdicts.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

export interface UpstreamLoaderDeps {
  readonly pool: KeyPool
  readonly client: UpstreamClient
  readonly gate: UpstreamGate
  /** Tells whether a refusal is about the key or the product. */
  readonly check: KeyCheck
  /** How long an answer may be cached. */
  readonly freshForMs: (path: string, answer: UpstreamAnswer) => number
  /** Strikes the fleet's keys out where upstream repeats them (`/me`, some errors). */
  readonly redact: (text: string) => string
  /** PLAN_PREFERENCE=richest: full records are asked of the keys whose plans hold most. */
  readonly prefersRichest: boolean
  /** The longest that the source is left alone at a time. */
  readonly maxPauseMs: number
  readonly clock?: Clock
}

/** How long clients are told to wait when upstream knows none of the keys. */
const unknownKeysPauseMs = 5000
/** The same where it could not be found out of a key what it may ask. */
const unsettledMs = 1000
/** Between two probes of a source that is limited and does not say for how long. */
const probeEveryMs = 1000

/** One request on its way: what is asked, at what cost, until when, and what it has met. */
interface LoadContext {
  readonly request: UpstreamRequest
  readonly product: Product
  readonly demand: Demand
  readonly deadlineMs: number
  readonly options: LoadOptions
  readonly tries: UpstreamTries
  readonly source: SourceWatch
}

/**
 * Asks upstream with the pool's keys. A verdict reaches as far as it is about: the query, the key for the product, the
 * key as a whole, the source, or upstream. The next key is asked where the verdict was about one key: without end
 * where keys lack a permission, three times where it cost upstream something.
 */
export class UpstreamLoader implements Upstream {
  readonly #deps: UpstreamLoaderDeps
  readonly #pool: KeyPool
  readonly #client: UpstreamClient
  readonly #clock: Clock

  constructor(deps: UpstreamLoaderDeps) {
    this.#deps = deps
    this.#pool = deps.pool
    this.#client = deps.client
    this.#clock = deps.clock ?? monotonicClock
  }

  load(request: UpstreamRequest, deadlineMs: number, options: LoadOptions = {}): Promise<Outcome> {
    const { provider } = this.#client
    if (!offers(provider, request)) return Promise.resolve(failed('not_offered'))
    const product = provider.productOf(request)
    const { units = provider.unitsOf(request), purpose, reserveShare = 0 } = options
    const share = Math.max(reserveShare, purpose === 'refresh' ? refreshReserveShare : 0)
    const prefersRich = this.#deps.prefersRichest && options.isPartial !== true && holdsFullRecords(request, product)
    const demand: Demand = { units, product, reserveShare: share, prefersRich }
    const ask = async (source: SourceWatch): Promise<Outcome> => {
      const tries = new UpstreamTries(this.#pool)
      const outcome = await this.#askKeyAfterKey({ request, product, demand, deadlineMs, options, tries, source })
      return outcome.kind === 'failure' && tries.tried.size > 0 ? { ...outcome, wasAsked: true } : outcome
    }
    return this.#deps.gate.run(product, ask, { client: currentClient(), deadlineMs })
  }

  /** Plans differ, so that a full record takes one of the richest keys: what all have is asked of any. */
  prefersPartial(request: UpstreamRequest): boolean {
    const { provider } = this.#client
    const product = provider.productOf(request)
    return this.#deps.prefersRichest && holdsFullRecords(request, product) && this.#pool.hasMixedPlans(product.name)
  }

  async #askKeyAfterKey(context: LoadContext): Promise<Outcome> {
    const { request, demand, deadlineMs, options, tries } = context
    for (;;) {
      const ticket = await this.#pool.take(tries.tried, deadlineMs, demand)
      if (ticket.kind === 'exhausted') return this.#withoutKey(context, ticket)
      if (tries.hasDenials && this.#clock.nowMs() >= deadlineMs) return this.#outOfTime(context, ticket)
      tries.tried.add(ticket.key.id)
      const reply = sensible(await this.#client.ask(request, ticket.key.secret, deadlineMs), options)
      // Before it is noted what the reply says is left.
      if (isRefusedBatch(reply, ticket)) await this.#pool.giveBack(ticket, demand)
      if (reply.quota) this.#pool.noteQuota(ticket, reply.quota)
      const refused = refusedItems(reply, ticket, options)
      if (refused) await this.#pool.unsettled(ticket)
      const outcome = refused
        ? await this.#follow(context, ofItems(ticket), refused)
        : await this.#follow(context, ticket, reply)
      if (outcome) return tries.poorer && outcome.kind === 'failure' ? this.#passOn(request, tries.poorer) : outcome
    }
  }

  /** What follows from a reply; undefined: the next key is asked. */
  #follow(context: LoadContext, ticket: Ticket, reply: Reply): Promise<Outcome | undefined> {
    switch (reply.kind) {
      case 'answered':
        return this.#answered(context, ticket, reply.answer)
      case 'limited':
        return this.#limited(context, ticket, reply)
      case 'denied':
        return this.#denied(context, ticket, reply)
      case 'failed':
        return this.#failed(context, ticket, reply)
    }
  }

  async #answered(
    { request, demand, options, tries }: LoadContext,
    ticket: Ticket,
    answer: UpstreamAnswer,
  ): Promise<Outcome | undefined> {
    const inside = options.verdictInside?.(answer)
    const richness = demand.prefersRich && request.method === 'GET' ? richnessOf(answer) : undefined
    // Its plan is not known yet, and another key's record of the same address may hold more.
    const isPoor = richness !== undefined && ticket.richness === undefined && richness < ticket.richest
    await this.#pool.answered(ticket, isPoor ? undefined : richness)
    await tries.convictAll()
    if (isPoor && !tries.poorer) {
      tries.poorer = { ticket, answer, richness }
      return undefined
    }
    if (tries.poorer) return this.#passOn(request, await this.#richer(tries.poorer, { ticket, answer, richness }))
    const { heldLimits = [] } = options
    for (const held of heldLimits.splice(0)) await this.#pool.limited(held.ticket, held.limit)
    if (inside?.kind === 'limited') heldLimits.push({ ticket: ofItems(ticket), limit: limitOf(inside, ticket) })
    return this.#passOn(request, { answer, ticket })
  }

  /** Of two records of one address; what the first key's plan holds is known now. */
  async #richer(first: Recorded, second: Recorded): Promise<Recorded> {
    const isPoorer = (first.richness ?? 0) < (second.richness ?? 0)
    const { key, product } = first.ticket
    await this.#pool.learn(key.id, product.name, isPoorer ? first.richness : first.ticket.richest)
    return isPoorer ? second : first
  }

  async #limited(
    context: LoadContext,
    ticket: Ticket,
    { scope, reason, retryAfterSeconds, quota }: Extract<Reply, { kind: 'limited' }>,
  ): Promise<Outcome | undefined> {
    const { product, tries, source, demand } = context
    tries.limited(ticket, { scope, reason, retryAfterSeconds, seen: quota })
    // A tool's limit is the key's own, however many keys have used it up.
    const isSource = product.kind !== 'tool' && (source.isProbe || (await tries.areLimitedAlike()))
    if (isSource && reason === 'limited') {
      const saidMs = tries.toldSeconds === undefined ? undefined : tries.toldSeconds * 1000
      const forMs = saidMs === undefined ? (source.isProbe ? probeEveryMs : 0) : Math.min(saidMs, this.#deps.maxPauseMs)
      await tries.acquit()
      source.limited(forMs)
      return failed('keys_exhausted', wholeSeconds(forMs), originOf(ticket, 429))
    }
    if (reason === 'limited' && tries.mayTryOn) return undefined
    if (reason === 'exhausted') return undefined
    const told = tries.toldSeconds
    await tries.convict()
    if (product.kind === 'tool') return failed('tool_limited', told, originOf(ticket, 429))
    const retryAfterMs = await this.#pool.earliestReturnMs(demand)
    return exhausted({ kind: 'exhausted', retryAfterMs }, demand)
  }

  async #denied(
    context: LoadContext,
    ticket: Ticket,
    { scope, answer }: Extract<Reply, { kind: 'denied' }>,
  ): Promise<Outcome | undefined> {
    const { request, tries, source } = context
    const { check } = this.#deps
    const { status } = answer
    const verdict =
      scope === 'unclear'
        ? verdictOf(ticket, status, await check.standingOf(ticket.key), this.#pool.isProven(ticket))
        : scope
    switch (verdict) {
      case 'product':
      case 'product or query':
        await tries.deniedProduct(ticket, answer, verdict === 'product' ? undefined : request.path)
        return undefined
      case 'query':
        tries.refusedQuery(ticket, answer)
        if (!tries.isQueryRefused) return undefined
        await tries.convict()
        return this.#passOn(request, { answer, ticket })
      case 'key': {
        tries.unknown(ticket, answer)
        if (!tries.areUnknownAlike && !source.isProbe) return undefined
        await tries.acquit()
        source.limited(source.isProbe ? unknownKeysPauseMs : 0)
        return failed('upstream_paused', wholeSeconds(unknownKeysPauseMs), originOf(ticket, status))
      }
      case 'unsettled':
        tries.hasUnsettled = true
        await this.#pool.unsettled(ticket)
        return undefined
    }
  }

  async #failed(
    { tries }: LoadContext,
    ticket: Ticket,
    reply: Extract<Reply, { kind: 'failed' }>,
  ): Promise<Outcome | undefined> {
    await this.#pool.unsettled(ticket)
    tries.failed(ticket, reply)
    if (reply.again === 'key' && tries.mayTryOn) return undefined
    await tries.convict()
    return failureOf(reply, ticket)
  }

  /** Every key has been tried, rests, or may not ask this. */
  async #withoutKey({ request, product, demand, tries, source }: LoadContext, none: Exhausted): Promise<Outcome> {
    const { limitCount, toldSeconds, queryRefusal, failure, denial, poorer } = tries
    if (await tries.areUsedUpAlike()) {
      await tries.acquit()
      source.limited(source.isProbe ? probeEveryMs : 0)
      return failed('keys_exhausted', wholeSeconds(probeEveryMs))
    }
    await tries.convict()
    if (poorer) return this.#passOn(request, poorer)
    if (failure) return failureOf(failure.reply, failure.ticket)
    if (queryRefusal && limitCount === 0) return this.#passOn(request, queryRefusal)
    const status = none.deniedStatus
    if (status !== undefined) {
      const answer = denial === undefined ? rememberedRefusal(status) : withoutKeys(denial, this.#deps.redact)
      return { kind: 'answer', answer, freshForMs: 0 }
    }
    if (tries.hasUnsettled) return failed('keys_exhausted', wholeSeconds(unsettledMs))
    const retryAfterMs = limitCount > 0 ? await this.#pool.earliestReturnMs(demand) : none.retryAfterMs
    if (product.kind === 'tool') return failed('tool_limited', toldSeconds ?? wholeSeconds(retryAfterMs))
    return exhausted({ kind: 'exhausted', retryAfterMs }, demand)
  }

  /** Some keys may not ask this, and of the others it is not known yet. */
  async #outOfTime({ tries }: LoadContext, ticket: Ticket): Promise<Outcome> {
    await this.#pool.unsettled(ticket)
    await tries.convict()
    return failed('keys_exhausted', wholeSeconds(unsettledMs))
  }

  #passOn({ path }: UpstreamRequest, { answer, ticket }: Pick<Recorded, 'answer' | 'ticket'>): Outcome {
    return {
      kind: 'answer',
      answer: withoutKeys(answer, this.#deps.redact),
      freshForMs: this.#deps.freshForMs(path, answer),
      origin: originOf(ticket, answer.status),
    }
  }
}
