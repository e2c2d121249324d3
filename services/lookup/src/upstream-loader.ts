import type { Origin, Outcome } from '@ipfleet/cache/outcome.ts'
import type { LoadPurpose } from '@ipfleet/cache/tiered-cache.ts'
import { type Denial, blameFor, denialsToJudge } from '@ipfleet/key-pool/blame.ts'
import type { Exhausted, KeyPool, Ticket } from '@ipfleet/key-pool/key-pool.ts'
import { refreshReserveShare } from '@ipfleet/key-pool/quota.ts'
import { offers } from '@ipfleet/upstream/providers/provider.ts'
import type { Reply, UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import type { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import type { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'

export interface UpstreamLoaderParts {
  readonly pool: KeyPool
  readonly client: UpstreamClient
  readonly gate: UpstreamGate
  /** How long an answer may be cached. */
  readonly freshForMs: (path: string, answer: UpstreamAnswer) => number
  /** Strikes the fleet's keys out where upstream repeats them (`/me`, some errors). */
  readonly redact: (text: string) => string
}

export interface LoadOptions {
  /** Requests of the key's quota that it costs. Default 1. */
  readonly units?: number
  /** Whether an answer says that the key's quota ended in the middle of it. */
  readonly ranDry?: (answer: UpstreamAnswer) => boolean
  /** Whether an answer that looks well from outside does so inside, where only whoever asked can tell. */
  readonly makesSense?: (answer: UpstreamAnswer) => boolean
  /** Nobody waits for a refresh: it leaves every key the last of its quota. */
  readonly purpose?: LoadPurpose
  /** Of each key's limit, from 0 to 1: left to others. Default 0. */
  readonly reserveShare?: number
}

interface Refused {
  readonly ticket: Ticket
  readonly reply: Extract<Reply, { kind: 'denied' }>
}

/** How long clients are told to wait when upstream knows none of the keys. */
const unknownKeysRetrySeconds = 5

/** Asks upstream with the pool's keys: the next key when one is over its limit or refused, each at most once. */
export class UpstreamLoader {
  readonly #pool: KeyPool
  readonly #client: UpstreamClient
  readonly #gate: UpstreamGate
  readonly #freshForMs: (path: string, answer: UpstreamAnswer) => number
  readonly #redact: (text: string) => string

  constructor({ pool, client, gate, freshForMs, redact }: UpstreamLoaderParts) {
    this.#pool = pool
    this.#client = client
    this.#gate = gate
    this.#freshForMs = freshForMs
    this.#redact = redact
  }

  /** Never throws: what goes wrong is an outcome too. @param deadlineMs monotonic, over all keys */
  load(request: UpstreamRequest, deadlineMs: number, options: LoadOptions = {}): Promise<Outcome> {
    if (!offers(this.#client.provider, request)) return Promise.resolve({ kind: 'failure', code: 'not_offered' })
    return this.#gate.run(() => this.#askKeyAfterKey(request, deadlineMs, options))
  }

  async #askKeyAfterKey(request: UpstreamRequest, deadlineMs: number, options: LoadOptions): Promise<Outcome> {
    const { units = this.#client.provider.unitsOf(request), purpose, reserveShare = 0 } = options
    const cost = { units, reserveShare: Math.max(reserveShare, purpose === 'refresh' ? refreshReserveShare : 0) }
    const tried = new Set<string>()
    const refused: Refused[] = []
    for (;;) {
      const ticket = await this.#pool.take(tried, deadlineMs, cost)
      if (ticket.kind === 'exhausted') {
        if (refused.length > 0) return this.#judge(request, refused)
        return exhausted(ticket, cost)
      }
      tried.add(ticket.key.id)
      const reply = sensible(await this.#client.ask(request, ticket.key.secret, deadlineMs), options)
      if (reply.quota) this.#pool.noteQuota(ticket, reply.quota)
      switch (reply.kind) {
        case 'answered':
          await (options.ranDry?.(reply.answer) ? this.#pool.limited(ticket, undefined) : this.#pool.answered(ticket))
          // Another key got an answer, so it was those keys and not the question.
          for (const one of refused) await this.#pool.denied(one.ticket)
          return this.#passOn(request, reply.answer, ticket)
        case 'limited':
          await this.#pool.limited(ticket, reply.retryAfterSeconds, reply.quota)
          break
        case 'denied':
          refused.push({ ticket, reply })
          if (refused.length >= denialsToJudge) return this.#judge(request, refused)
          break
        case 'failed':
          for (const one of [...refused.map(({ ticket: held }) => held), ticket]) await this.#pool.unsettled(one)
          return failure(reply, ticket)
      }
    }
  }

  /** Keys were refused and none got an answer. */
  async #judge(request: UpstreamRequest, refused: readonly Refused[]): Promise<Outcome> {
    const denials = refused.map(({ ticket, reply }): Denial => ({
      unknownToken: reply.unknownToken,
      proven: this.#pool.isProven(ticket),
    }))
    const blame = blameFor(denials)
    for (const { ticket } of refused) {
      await (blame === 'keys' ? this.#pool.denied(ticket) : this.#pool.unsettled(ticket))
    }
    const { ticket, reply } = refused[0] as Refused
    const origin = originOf(ticket, reply.answer.status)
    switch (blame) {
      case 'question':
        return this.#passOn(request, reply.answer, ticket)
      case 'upstream':
        return { kind: 'failure', code: 'upstream_paused', retryAfterSeconds: unknownKeysRetrySeconds, origin }
      case 'keys': {
        const retryAfterSeconds = wholeSeconds(await this.#pool.earliestReturnMs({ units: 0 }))
        return { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds, origin }
      }
    }
  }

  #passOn({ path }: UpstreamRequest, answer: UpstreamAnswer, ticket: Ticket): Outcome {
    return {
      kind: 'answer',
      answer: this.#withoutKeys(answer),
      freshForMs: this.#freshForMs(path, answer),
      origin: originOf(ticket, answer.status),
    }
  }

  #withoutKeys(answer: UpstreamAnswer): UpstreamAnswer {
    const text = answer.body.toString('utf8')
    const shown = this.#redact(text)
    return shown === text ? answer : { ...answer, body: Buffer.from(shown) }
  }
}

function sensible(reply: Reply, { makesSense }: LoadOptions): Reply {
  if (reply.kind !== 'answered' || makesSense === undefined || makesSense(reply.answer)) return reply
  const { answer, quota } = reply
  const failed = { kind: 'failed', code: 'upstream_invalid', status: answer.status, detail: 'malformed JSON' } as const
  return quota ? { ...failed, quota } : failed
}

function exhausted({ retryAfterMs }: Exhausted, { reserveShare }: { readonly reserveShare: number }): Outcome {
  const failed = { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: wholeSeconds(retryAfterMs) } as const
  return reserveShare > 0 ? { ...failed, sparesReserve: true } : failed
}

function failure({ code, status, detail }: Extract<Reply, { kind: 'failed' }>, ticket: Ticket): Outcome {
  return { kind: 'failure', code, detail, origin: originOf(ticket, status) }
}

function originOf({ key }: Ticket, upstreamStatus: number | undefined): Origin {
  return upstreamStatus === undefined ? { keyId: key.id } : { keyId: key.id, upstreamStatus }
}

/** Retry-After is in whole seconds; too early would be told to come again. */
const wholeSeconds = (durationMs: number): number => Math.max(1, Math.ceil(durationMs / 1000))
