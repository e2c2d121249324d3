import type { IncomingMessage } from 'node:http'
import type { Exchange } from '../http1/exchange.ts'
import type { ExchangeHandler, UpstreamRequest } from '../http1/exchange-types.ts'
import type { Tunnels } from '../http1/tunnels.ts'
import type { ForwardedHeaders } from '../forwarded-headers.ts'
import type { ClientAnswer, UpgradeOffer } from './client-answer.ts'
import type { StallWatch } from './stall-watch.ts'
import type { UploadLimits } from './upload.ts'

/** What all proxied requests share. */
export interface RelayDeps {
  readonly tunnels: Tunnels
  readonly stalls: StallWatch
  /** How long a client may leave an answer unread. */
  readonly sendTimeoutMs: number
  readonly uploads: UploadLimits
}

/** One request, as the client sent it, and the way back to the client. */
export interface ProxiedClient {
  readonly req: IncomingMessage
  readonly answer: ClientAnswer
  readonly upgrade: UpgradeOffer | undefined
  readonly fields: ForwardedHeaders
  readonly method: string
  /** Of the request's body; 0: no limit. */
  readonly maxBodyBytes: number
  /** Among whom connections are shared; undefined: they are not. */
  readonly subject?: string
}

export type Begin = (request: UpstreamRequest, handler: ExchangeHandler) => Exchange

/**
 * How a proxied request ended: with a whole answer (or a tunnel that has ended), with one that broke off, refused by
 * this proxy, or because the client left.
 */
export type RelayEnd = 'answered' | 'broken' | 'refused' | 'client_left'
