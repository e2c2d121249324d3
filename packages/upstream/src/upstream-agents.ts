import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Socket } from 'node:net'

export interface UpstreamAgentsOptions {
  readonly maxSockets: number
  /** http://user:password@host:port of a forward proxy. Undefined: upstream is connected to directly. */
  readonly proxyUrl: string | undefined
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

  constructor({ maxSockets, proxyUrl }: UpstreamAgentsOptions) {
    const kept = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, scheduling: 'lifo' as const }
    if (proxyUrl === undefined) {
      this.pooled = { http: new HttpAgent(kept), https: new HttpsAgent(kept) }
      this.fresh = { http: false, https: false }
      return
    }
    const proxied = { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl }, timeout: tunnelTimeoutMs }
    this.pooled = { http: new HttpAgent({ ...kept, ...proxied }), https: new HttpsAgent({ ...kept, ...proxied }) }
    this.fresh = { http: new HttpAgent(proxied), https: new HttpsAgent(proxied) }
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
