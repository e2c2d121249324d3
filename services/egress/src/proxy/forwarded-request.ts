import type { Socket } from 'node:net'
import { exchangeOver } from '@ipfleet/hop/exchange-over.ts'
import type { ExchangeTimeouts } from '@ipfleet/hop/hop-connection.ts'
import type { HopFault } from '@ipfleet/hop/hop-fault.ts'
import type { AnswerHead, RawFields } from '@ipfleet/hop/hop.ts'
import { passedFields } from '@ipfleet/relay/passed-fields.ts'
import { type RelayedClient, RelayedRequest, type RelayEnd, type RelayParts } from '@ipfleet/relay/relayed-request.ts'
import type { Source } from '../sources/source-pool.ts'
import type { Disclosure } from './forward-head.ts'
import { faultRefusal, pseudonym, type Refusal, statusFields } from './proxy-status.ts'
import type { Visit } from './visit.ts'

/** What all forwarded requests share. */
export interface ForwardParts extends RelayParts {
  readonly timeouts: ExchangeTimeouts
  readonly disclosure: Disclosure
  /** Told when a site answers as it does to those it has blocked. */
  readonly onBlocked: (visit: Visit) => void
}

export interface ConnectedRequest extends RelayedClient {
  readonly visit: Visit
  /** Request line and fields for the origin. */
  readonly head: string
  readonly socket: Socket
  readonly source: Source
}

/** Forbidden, and too many requests. */
const blockedStatuses: ReadonlySet<number> = new Set([403, 429])

/** A request on its way to an origin, over a connection of its own, and the answer on its way back. */
export class ForwardedRequest extends RelayedRequest {
  readonly #parts: ForwardParts
  readonly #of: ConnectedRequest
  #refusal: Refusal | undefined

  constructor(parts: ForwardParts, request: ConnectedRequest) {
    super(parts, request)
    this.#parts = parts
    this.#of = request
  }

  start(): void {
    const { head, socket } = this.#of
    this.ask(head, (request, handler) => exchangeOver(socket, request, handler, this.#parts.timeouts))
  }

  protected answerFields(head: AnswerHead): RawFields {
    const { visit, source, req } = this.#of
    const { status, version } = head
    if (blockedStatuses.has(status)) this.#parts.onBlocked(visit)
    const fields = passedFields(head, req.httpVersion, 'x-egress-ip')
    if (source.address !== '') fields.push('X-Egress-IP', source.address)
    if (this.#parts.disclosure.via) fields.push('Via', `${version} ${pseudonym}`)
    return fields
  }

  protected refusalFields(): RawFields {
    return this.#refusal === undefined ? [] : statusFields(this.#refusal)
  }

  protected unanswered(fault: HopFault): void {
    this.#refusal = faultRefusal(fault)
    this.refuse(this.#refusal.error)
  }

  protected over(status: number, _end: RelayEnd, fault?: HopFault): void {
    this.#of.visit.end(status, fault ? faultRefusal(fault) : this.#refusal)
  }
}
