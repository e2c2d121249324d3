import type { Socket } from 'node:net'
import { lookRegularly } from '@ipfleet/core/look-regularly.ts'
import { UnorderedList } from '@ipfleet/core/unordered-list.ts'
import { Tunnel, type TunnelReport } from './tunnel.ts'

export type { TunnelReport } from './tunnel.ts'

export interface TunnelsOptions {
  /** How long a tunnel may pass nothing. */
  readonly idleMs: number
  /** What one tunnel may pass, both ways together, and how long it may stand. 0, or not given: no end to it. */
  readonly maxBytes?: number
  readonly maxMs?: number
}

const tunnelPlace = Symbol('place among the tunnels')

/**
 * Pairs of sockets whose bytes go over from one to the other. Each direction ends by itself (half-close), and a slow
 * reader slows down its writer. One timer looks after all of them.
 */
export class Tunnels {
  readonly #open = new UnorderedList<Tunnel>(tunnelPlace)
  readonly #keeper = { maxBytes: Infinity, over: (tunnel: Tunnel): void => this.#over(tunnel) }
  #idleMs = Infinity
  #maxMs = Infinity
  /** When all are to be over (`performance.now()`). */
  #stopMs = Infinity
  #timer: NodeJS.Timeout | undefined

  constructor(options: TunnelsOptions) {
    this.configure(options)
  }

  get count(): number {
    return this.#open.size
  }

  /** Takes effect on those that stand, too. */
  configure({ idleMs, maxBytes = 0, maxMs = 0 }: TunnelsOptions): void {
    this.#idleMs = idleMs
    this.#maxMs = maxMs || Infinity
    this.#keeper.maxBytes = maxBytes || Infinity
  }

  /** Both sockets must have been made with `allowHalfOpen`. What came early goes first. `onEnd` is called once. */
  join(
    client: Socket,
    server: Socket,
    early: { readonly fromClient: Buffer; readonly fromServer: Buffer },
    onEnd: (report: TunnelReport) => void,
  ): void {
    if (early.fromServer.length > 0) client.write(early.fromServer)
    if (early.fromClient.length > 0) server.write(early.fromClient)
    this.#open.add(new Tunnel(client, server, this.#keeper, onEnd))
    this.#timer ??= lookRegularly(this.#look, Math.min(1000, this.#idleMs, this.#maxMs))
  }

  /** Lets what is open go on for that long and then ends the rest, and what is joined after this has resolved. */
  async drain(graceMs: number): Promise<void> {
    this.#stopMs = performance.now() + graceMs
    while (this.#open.size > 0 && performance.now() < this.#stopMs) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    for (const tunnel of this.#open) tunnel.finish('stopped')
  }

  readonly #look = (nowMs: number): void => {
    for (const tunnel of this.#open) {
      if (nowMs >= this.#stopMs) tunnel.finish('stopped')
      else tunnel.look(nowMs, this.#idleMs, this.#maxMs)
    }
  }

  #over(tunnel: Tunnel): void {
    this.#open.delete(tunnel)
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
