import type { Failure, Origin } from '@ipfleet/cache/outcome.ts'
import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'
import type { Demand, Exhausted, Ticket } from '@ipfleet/key-pool/ticket.ts'
import type { Reply, UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

/** @param origin of the last request, where upstream was asked */
export function failed(code: ErrorCode, retryAfterSeconds?: number, origin?: Origin): Failure {
  return {
    kind: 'failure',
    code,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(origin && { origin }),
  }
}

export function exhausted({ retryAfterMs }: Exhausted, { reserveShare = 0 }: Demand): Failure {
  const outcome = failed('keys_exhausted', wholeSeconds(retryAfterMs))
  return reserveShare > 0 ? { ...outcome, sparesReserve: true } : outcome
}

/** @param redact strikes keys out of a text */
export function withoutKeys(answer: UpstreamAnswer, redact: (text: string) => string): UpstreamAnswer {
  const text = answer.body.toString('utf8')
  const shown = redact(text)
  const location = answer.location === undefined ? {} : { location: redact(answer.location) }
  return { ...answer, ...location, ...(shown !== text && { body: Buffer.from(shown) }) }
}

export const failureOf = (
  { code, status, detail, retryAfterSeconds }: Extract<Reply, { kind: 'failed' }>,
  ticket: Ticket,
): Failure => ({ ...failed(code, retryAfterSeconds, originOf(ticket, status)), detail })

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
