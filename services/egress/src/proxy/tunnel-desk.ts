import type { Socket } from 'node:net'
import type { TunnelReport, Tunnels } from '@ipfleet/hop/tunnels.ts'
import type { Dialled } from '../dial/dialer.ts'
import { refusal } from './proxy-status.ts'
import type { Identity, Visit } from './visit.ts'

export interface TunnelDeskOptions {
  readonly maxTunnels: number
  /** 0: no limit. */
  readonly maxTunnelsPerClient: number
}

/** A place for one tunnel, from before it is dialled until it has ended. */
export interface TunnelPlace {
  readonly holder: string
}

export type TunnelClosed = (visit: Visit, report: TunnelReport) => void

/** Opens tunnels, so many in all and so many for each client or user. */
export class TunnelDesk {
  readonly #tunnels: Tunnels
  readonly #options: TunnelDeskOptions
  readonly #onClosed: TunnelClosed
  readonly #byHolder = new Map<string, number>()
  #taken = 0

  constructor(tunnels: Tunnels, options: TunnelDeskOptions, onClosed: TunnelClosed) {
    this.#tunnels = tunnels
    this.#options = options
    this.#onClosed = onClosed
  }

  /** @throws Refusal when there are too many */
  reserve(client: string, { user, maxTunnels = this.#options.maxTunnelsPerClient }: Identity): TunnelPlace {
    const holder = user ?? client
    const held = this.#byHolder.get(holder) ?? 0
    if (maxTunnels > 0 && held >= maxTunnels) {
      throw refusal('rate_limited', 'connection_limit_reached', 'tunnels of the client', {
        message: 'You have as many tunnels open as you may; close one first',
        retryAfterSeconds: 1,
      })
    }
    if (this.#taken >= this.#options.maxTunnels) {
      throw refusal('overloaded', 'connection_limit_reached', 'tunnels in all', { retryAfterSeconds: 1 })
    }
    this.#byHolder.set(holder, held + 1)
    this.#taken += 1
    return { holder }
  }

  release({ holder }: TunnelPlace): void {
    this.#taken -= 1
    const left = (this.#byHolder.get(holder) ?? 1) - 1
    if (left > 0) this.#byHolder.set(holder, left)
    else this.#byHolder.delete(holder)
  }

  /** Tells the client, naming the address that its bytes leave from, and joins both sides. */
  open(
    visit: Visit,
    client: { readonly socket: Socket; readonly early: Buffer },
    { socket, source }: Extract<Dialled, { kind: 'connected' }>,
    place: TunnelPlace,
  ): void {
    const from = source.address === '' ? '' : `X-Egress-IP: ${source.address}\r\n`
    // RFC 9110 §9.3.6: neither Content-Length nor Transfer-Encoding.
    client.socket.write(`HTTP/1.1 200 Connection Established\r\n${from}\r\n`, 'latin1')
    visit.end(200)
    this.#tunnels.join(client.socket, socket, { fromClient: client.early, fromServer: nothing }, (report) => {
      this.release(place)
      this.#onClosed(visit, report)
    })
  }
}

const nothing = Buffer.alloc(0)
