import type { Ticket } from '@ipfleet/key-pool/ticket.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'
import type { LoadOptions, VerdictInside } from './upstream.ts'

export function sensible(reply: Reply, { makesSense }: LoadOptions): Reply {
  if (reply.kind !== 'answered' || makesSense === undefined || makesSense(reply.answer)) return reply
  const { answer, quota } = reply
  const failed = { kind: 'failed', code: 'upstream_invalid', status: answer.status, detail: 'malformed JSON' } as const
  return quota ? { ...failed, quota } : failed
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
