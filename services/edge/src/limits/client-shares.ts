import { RefusalPace } from '@ipfleet/http-server/refusal-pace.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type QuotaRefusal, SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { ServerConfig } from '../config/edge-config.ts'

/** Whatever a client can hold before its request is answered, and the setting that bounds it. */
const limits = {
  connections: {
    setting: 'max_connections_per_client',
    all: 'Too many connections and HTTP/2 streams are open',
    client: 'You have as many connections and HTTP/2 streams open as one client may',
  },
  backend_connections: {
    setting: 'max_connections and max_waiting of the group',
    all: 'All connections to the server behind this proxy are in use',
    client: 'Your requests under way hold all connections to the server behind this proxy that one client may have',
  },
  long_answers: {
    setting: 'max_long_answers',
    all: 'All places for event streams, tunnels and other long answers are taken',
    client: 'You have as many event streams, tunnels and other long answers as one client may',
  },
  held_bytes: {
    setting: 'max_held_bytes',
    all: 'Requests under way hold all the memory that there is for them',
    client: 'Your requests under way hold all the memory that one client may have',
  },
} as const

export type SharedLimit = keyof typeof limits

type SharesConfig = Pick<ServerConfig, 'clientSharePercent' | 'maxLongAnswers' | 'maxHeldBytes' | 'maxWindowBytes'>

const logEveryMs = 60_000

/** What all requests of this process share, and what of it one client may hold. */
export class ClientShares {
  readonly longAnswers = new SharedQuota()
  /** Bytes of heads and of collected bodies. */
  readonly memory = new SharedQuota()
  /** Bytes that clients of HTTP/2 may send ahead. */
  readonly windows = new SharedQuota()
  readonly #pace = new RefusalPace()
  /** Refused requests, by limit, and by whether all was taken or what one client may have. */
  readonly refused = new Map<SharedLimit, Record<QuotaRefusal, number>>()
  readonly #logger: Logger
  readonly #loggedMs = new Map<SharedLimit, number>()

  constructor(config: SharesConfig, logger: Logger) {
    this.configure(config)
    this.#logger = logger
  }

  configure({ clientSharePercent, maxLongAnswers, maxHeldBytes, maxWindowBytes }: SharesConfig): void {
    this.longAnswers.configure({ max: maxLongAnswers, clientSharePercent })
    this.memory.configure({ max: maxHeldBytes, clientSharePercent })
    this.windows.configure({ max: maxWindowBytes, clientSharePercent })
  }

  /** What a client is told that meets a limit: 503 when all is taken, 429 when it is the client's own share. Counts it. */
  readonly refusal = (limit: SharedLimit, why: QuotaRefusal): ProxyError => {
    this.#count(limit, why)
    const { setting, [why]: what } = limits[limit]
    const message = `${what} (limit: ${setting}); try again after the time in Retry-After`
    return new ProxyError(why === 'all' ? 'overloaded' : 'client_share', { retryAfterSeconds: 1, message })
  }

  /** Undefined when the client may be told at once, else a promise that resolves when it is its turn. */
  turnOf({ code }: ProxyError, client: string, isGone: () => boolean): Promise<void> | undefined {
    return code === 'client_share' ? this.#pace.turn(client, isGone) : undefined
  }

  #count(limit: SharedLimit, why: QuotaRefusal): void {
    this.refused.getOrInsert(limit, { all: 0, client: 0 })[why] += 1
    const nowMs = performance.now()
    if (nowMs - (this.#loggedMs.get(limit) ?? -Infinity) < logEveryMs) return
    this.#loggedMs.set(limit, nowMs)
    const { setting } = limits[limit]
    this.#logger.warn({ limit, setting, of: why === 'all' ? 'all clients' : 'one client' }, 'a limit is reached')
  }
}
