import type { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { http } from '@ipfleet/core/node-http.ts'

export interface UpstreamAgentsOptions {
  readonly maxSockets: number
  /** http://user:password@host:port of a forward proxy. Undefined: upstream is connected to directly. */
  readonly proxyUrl: string | undefined
  /** How long a connection is used; then the name is looked up anew. */
  readonly maxLifeMs: number
}

/** What got takes; false: a connection of its own, which is closed after the answer. */
export interface Agents {
  readonly http: HttpAgent | false
  readonly https: HttpsAgent | false
}

/** How long a proxy may take over a tunnel that no request waits for any more. */
const tunnelTimeoutMs = 30_000

/**
 * Connections to upstream, perhaps through a forward proxy: Node (since 24.5) asks it with CONNECT for what is `https`,
 * so that TLS goes from end to end, and with the whole URL for what is `http`. Both are kept for further requests.
 */
export class UpstreamAgents {
  readonly pooled: { readonly http: HttpAgent; readonly https: HttpsAgent }
  /** For requests that must not meet a connection of the pool. */
  readonly fresh: Agents

  constructor({ maxSockets, proxyUrl, maxLifeMs }: UpstreamAgentsOptions) {
    const aging = <A extends HttpAgent>(agent: A): A => withMaxLife(agent, maxLifeMs)
    const kept = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, scheduling: 'lifo' as const }
    if (proxyUrl === undefined) {
      this.pooled = { http: aging(new http.Agent(kept)), https: aging(new HttpsAgent(kept)) }
      this.fresh = { http: false, https: false }
      return
    }
    const proxied = { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl }, timeout: tunnelTimeoutMs }
    this.pooled = {
      http: aging(new http.Agent({ ...kept, ...proxied })),
      https: aging(new HttpsAgent({ ...kept, ...proxied })),
    }
    this.fresh = { http: new http.Agent(proxied), https: new HttpsAgent(proxied) }
  }

  close(): void {
    for (const agent of [this.pooled.http, this.pooled.https, this.fresh.http, this.fresh.https]) {
      if (agent === false) continue
      // Node 26 opens one more socket even so, for a request that is gone.
      agent.on('free', (socket: Socket) => socket.destroy())
      agent.destroy()
    }
  }
}

/** Keeps no connection whose first request ended longer ago. */
function withMaxLife<A extends HttpAgent>(agent: A, maxLifeMs: number): A {
  const firstFreeMs = new WeakMap<Duplex, number>()
  const mayBeKept: (socket: Duplex) => unknown = agent.keepSocketAlive.bind(agent)
  return Object.assign(agent, {
    keepSocketAlive: (socket: Duplex): unknown => {
      const nowMs = performance.now()
      const sinceMs = firstFreeMs.get(socket) ?? nowMs
      firstFreeMs.set(socket, sinceMs)
      return nowMs - sinceMs < maxLifeMs && mayBeKept(socket)
    },
  })
}
