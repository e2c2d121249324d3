import type { Origin, Outcome } from '@ipfleet/cache/outcome.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'
import type { Demand, Exhausted, Ticket } from '@ipfleet/key-pool/ticket.ts'
import type { Reply, UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

export function exhausted({ retryAfterMs }: Exhausted, { reserveShare = 0 }: Demand): Outcome {
  const failed = { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: wholeSeconds(retryAfterMs) } as const
  return reserveShare > 0 ? { ...failed, sparesReserve: true } : failed
}

export function toolLimited(retryAfterSeconds: number | undefined, ticket?: Ticket): Outcome {
  const origin = ticket ? { origin: originOf(ticket, 429) } : {}
  return {
    kind: 'failure',
    code: 'tool_limited',
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...origin,
  }
}

export function failure({ code, status, detail }: Extract<Reply, { kind: 'failed' }>, ticket: Ticket): Outcome {
  return { kind: 'failure', code, detail, origin: originOf(ticket, status) }
}

export function originOf({ key }: Ticket, upstreamStatus: number | undefined): Origin {
  return upstreamStatus === undefined ? { keyId: key.id } : { keyId: key.id, upstreamStatus }
}

/** What upstream has said to every key lately, in IPinfo's words: it is not asked again for a while. */
export function rememberedRefusal(status: number): UpstreamAnswer {
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    body: Buffer.from(JSON.stringify(wordsOf(status), null, 2)),
  }
}

function wordsOf(status: number): object {
  if (status === 400) return { title: 'Wrong module or field type', message: 'No key of this service may ask this' }
  const title = status === 401 ? 'Unauthorized' : 'Forbidden'
  return { status, error: { title, message: 'No key of this service has access to this' } }
}
