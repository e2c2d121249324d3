import type { Ticket } from '@ipfleet/key-pool/ticket.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'
import type { Standing } from '../keys/key-check.ts'
import type { LoadOptions, VerdictInside } from './upstream.ts'

/** What a refusal is about that does not say it. */
export type Verdict = 'key' | 'product' | 'query' | 'product or query' | 'unsettled'

/**
 * Whom a refusal is about that may be about a token that is unknown, a plan that lacks something, or an address.
 * @param isProven whether the key has answered the like lately
 */
export function verdictOf({ product }: Ticket, status: number, standing: Standing, isProven: boolean): Verdict {
  if (standing.kind === 'unsettled') return 'unsettled'
  if (standing.kind === 'refused') return 'key'
  const { kind, name, batchOf } = product
  const isForAll = batchOf === undefined && (kind === 'plan' || kind === 'free' || kind === 'other')
  if (isForAll || isProven || standing.products?.includes(name) === true) return 'query'
  // A blocked address is refused with 403, whatever is asked of it.
  return status === 403 && batchOf === undefined && !standing.products ? 'product or query' : 'product'
}

export function sensible(reply: Reply, { makesSense }: LoadOptions): Reply {
  if (reply.kind !== 'answered' || makesSense === undefined || makesSense(reply.answer)) return reply
  const { answer, quota } = reply
  const failed = { kind: 'failed', code: 'upstream_invalid', status: answer.status, detail: 'malformed JSON' } as const
  return quota ? { ...failed, quota } : failed
}

/** A batch that was refused as a whole costs nothing. What single look-ups cost that are refused is not known. */
export function isRefusedBatch(reply: Reply, { product }: Ticket): boolean {
  return (
    product.batchOf !== undefined &&
    (reply.kind === 'denied' || reply.kind === 'answered') &&
    reply.answer.status >= 400
  )
}

/** The verdict about a batch of which every item was refused: what it would have been about the items alone. */
export function refusedItems(reply: Reply, ticket: Ticket, { verdictInside }: LoadOptions): Reply | undefined {
  const inside = reply.kind === 'answered' ? verdictInside?.(reply.answer) : undefined
  if (inside?.kind === 'denied') return { kind: 'denied', scope: 'unclear', answer: inside.answer }
  if (!inside?.areAll) return undefined
  return { kind: 'limited', status: inside.reason === 'exhausted' ? 402 : 429, ...limitOf(inside, ticket) }
}

export function limitOf({ reason }: Extract<VerdictInside, { kind: 'limited' }>, { product }: Ticket) {
  const scope = reason === 'exhausted' && product.kind === 'plan' ? 'key' : 'product'
  return { scope, reason, retryAfterSeconds: undefined } as const
}

/** The same key, for the product of a batch's items; what it was on trial for is settled by the batch. */
export function ofItems(ticket: Ticket): Ticket {
  const { name, kind, batchOf = name } = ticket.product
  return { ...ticket, product: { name: batchOf, kind }, trial: false, learning: false }
}
