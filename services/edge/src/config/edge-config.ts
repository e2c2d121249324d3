/**
 * What the edge does: the TOML file, read, checked and completed with its defaults. Plain data, so that the primary
 * process can send it to its workers. What the process is (log, Redis, trusted proxies) comes from the environment.
 */
export interface EdgeConfig {
  readonly server: ServerConfig
  readonly tls: TlsConfig | undefined
  /** By name; `default` is the file's `[upstreams]`, the others are its `[groups.<name>]`. */
  readonly groups: Readonly<Record<string, GroupConfig>>
  /** In the file's order; the longest prefix that matches wins, and what matches none goes to `default`. */
  readonly routes: readonly RouteConfig[]
  readonly health: HealthConfig
  readonly ejection: EjectionConfig
  readonly retry: RetryConfig
  /** Undefined: nobody is limited. */
  readonly rateLimit: RateLimitConfig | undefined
  readonly access: AccessConfig
  readonly metrics: MetricsConfig
}

/** `[server]`. */
export interface ServerConfig {
  /** An address or a name; '' is every address of the machine, of both families where it has both. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Processes that share the port. */
  readonly workers: number
  /** Of one process. */
  readonly maxConnections: number
  /** Of one client and one process; 0: no limit. Trusted proxies are not counted. */
  readonly maxConnectionsPerClient: number
  /** Most that one client may hold of what the others leave free. */
  readonly clientSharePercent: number
  readonly maxLongAnswers: number
  /** Of heads and collected bodies of requests under way. */
  readonly maxHeldBytes: number
  /** Of one body, before a backend is asked. */
  readonly bodyBufferBytes: number
  readonly maxHeaders: number
  readonly maxHeaderBytes: number
  readonly maxTargetBytes: number
  /** 0: no limit. */
  readonly maxBodyBytes: number
  readonly headerTimeoutMs: number
  /** A body has this long, and one second more for each `minBodyBytesPerSecond` that has come. */
  readonly bodyTimeoutMs: number
  readonly minBodyBytesPerSecond: number
  readonly keepAliveMs: number
  /** How long a client may leave an answer unread. */
  readonly sendTimeoutMs: number
  /** Whether WebSocket and other upgrades are tunnelled. */
  readonly upgrades: boolean
  readonly tunnelIdleMs: number
  /** Paths, with all below them, that are answered 404 here: what the replicas offer their operators. */
  readonly hiddenPaths: readonly string[]
  /** Whether `X-Backend` names who answered. */
  readonly showBackend: boolean
  /** Answers whether this edge can serve; '' switches it off. */
  readonly probeEndpoint: string
}

/** `[tls]`. */
export interface TlsConfig {
  /** Paths of PEM files. */
  readonly cert: string
  readonly key: string
  readonly http2: boolean
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

export type Balance = 'round-robin' | 'least-requests' | 'weighted' | 'hash'

/** `[upstreams]` and `[groups.<name>]`. */
export interface GroupConfig {
  readonly backends: readonly BackendConfig[]
  readonly balance: Balance
  /** Whose name goes upstream in Host: what the client asked for, or the backend's own. */
  readonly host: 'client' | 'backend'
  readonly connectTimeoutMs: number
  /** From the end of the request to the head of the answer. */
  readonly answerTimeoutMs: number
  /** Between two parts of an answer's body. */
  readonly idleTimeoutMs: number
  /** To one address, of one process. */
  readonly maxConnections: number
  /** Requests that wait for one of these connections; more are answered 503. */
  readonly maxWaiting: number
  /** Of both, and of what the others leave free: the most that one client may hold. That of `[server]`. */
  readonly clientSharePercent: number
  readonly keepAliveMs: number
  /** How often the addresses of a backend that is a name are looked up again. */
  readonly resolveMs: number
  /** Overrides that of `[health]`; '' switches active checks off for this group. */
  readonly healthPath: string | undefined
}

export interface BackendConfig {
  readonly protocol: 'http:' | 'https:'
  /** A name or an address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** From 1; a backend with 2 gets twice as much as one with 1. */
  readonly weight: number
}

/** `[[routes]]`. */
export interface RouteConfig {
  /** Starts with `/`. Matches whole segments: `/jobs` is `/jobs` and `/jobs/7`, not `/jobsite`. */
  readonly prefix: string
  /** Name of a group. */
  readonly upstreams: string
  /** Overrides that of `[server]`. */
  readonly maxBodyBytes: number | undefined
  readonly hedgeAfterMs: HedgeAfter | undefined
}

/** `[health]`: active checks, by each process. */
export interface HealthConfig {
  /** Undefined: no active checks. */
  readonly path: string | undefined
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Good answers in a row that bring a backend back, failures in a row that take it out. */
  readonly healthyAfter: number
  readonly unhealthyAfter: number
}

/** `[ejection]`: what the traffic itself tells of a backend. */
export interface EjectionConfig {
  /** Failures in a row after which a backend is left alone; 0: never. */
  readonly failures: number
  readonly ejectMs: number
  /** At most this share of a group is ejected at a time. */
  readonly maxPercent: number
  /** How long a returning backend takes to get its full share; 0: at once. */
  readonly slowStartMs: number
}

/** After how long without an answer another backend is asked too; `auto`: from the latencies seen; 0: never. */
export type HedgeAfter = 'auto' | number

/** `[retry]`. */
export interface RetryConfig {
  /** Further backends that a request may try. */
  readonly attempts: number
  /** Retries may be this share of the requests of the last ten seconds… */
  readonly budgetPercent: number
  /** …and in any case this many a second. */
  readonly minPerSecond: number
  readonly hedgeAfterMs: HedgeAfter
}

export type KeyExtractor =
  | { readonly kind: 'client_ip' }
  | { readonly kind: 'token' }
  /** Lower case. */
  | { readonly kind: 'header'; readonly name: string }

/** `[rate_limit]`. */
export interface RateLimitConfig {
  readonly policy:
    | { readonly kind: 'sliding-window'; readonly limit: number; readonly windowMs: number }
    | { readonly kind: 'token-bucket'; readonly burst: number; readonly refillPerSecond: number }
  readonly keyExtractor: KeyExtractor
  /** Hashes of the tokens or values that have a budget of their own; what is not among them counts as its address. */
  readonly known: readonly string[]
  /** Of what a client has left, a process lets this share through before it asks the fleet. 0: it asks each time. */
  readonly aheadPercent: number
  /** Blocks of clients that are not limited. */
  readonly exempt: readonly string[]
}

/** `[access]`: blocks. With `allow`, whoever is in none of them is refused; `deny` goes before it. */
export interface AccessConfig {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** `[metrics]`. */
export interface MetricsConfig {
  readonly enabled: boolean
  readonly endpoint: string
  /** Blocks of clients that may read them; to others the path does not exist. */
  readonly allow: readonly string[]
}
