import { types } from 'node:util'
import type { Redis } from 'ioredis'
import { connectionErrors } from './connection.ts'
import type { LinkCondition } from './link-condition.ts'
import { hostAndPort, placeOf, type RedisAccess } from './redis-access.ts'
import { redisAddress } from './redis-address.ts'
import {
  closedAtOnceProblem,
  lostProblem,
  muteProblem,
  problemOf,
  type RedisPlace,
  type RedisProblem,
  sentinelProblem,
} from './redis-problem.ts'

export interface ConnectionWatchDeps {
  readonly access: RedisAccess
  /** Of the link, shown in CLIENT LIST. */
  readonly name: string
  readonly client: Redis
  /** Of the link. What is wrong with connections is set here while the link is not up. */
  readonly condition: LinkCondition
  readonly isUp: () => boolean
}

/** Shorter than anything here waits for an answer. */
const atOnceMs = 500
/** A server that is starting or stopping may end connections at once for a moment. */
const endsAtOnceForMs = 2000
/** How often the reason is sought why none of several hosts answers. */
const seekEveryMs = 1000

/** Knows which server a link is connected to, and tells why it is not. */
export class ConnectionWatch {
  readonly #deps: ConnectionWatchDeps
  #place: RedisPlace
  /** Why the Sentinel that was asked last has named no master. */
  #sentinelError = ''
  /** When the connection was made; -Infinity while there is none. */
  #reachedMs = -Infinity
  /** Since when each connection was ended at once; undefined while none is, or the last was not. */
  #endsAtOnceSinceMs: number | undefined
  #reasonSoughtMs = -Infinity

  constructor(deps: ConnectionWatchDeps) {
    this.#deps = deps
    this.#place = placeOf(deps.access)
    const { client } = deps
    client.on('connect', () => this.#connected())
    client.on('error', (error) => this.#failed(error))
    client.on('sentinelError', (error: Error) => (this.#sentinelError = error.message))
    // Of a Cluster only.
    client.on('node error', (error: Error, at: string) => this.#nodeFailed(error, at))
  }

  /** The server that the link is connected to, or was last; else what the URL names. */
  get place(): RedisPlace {
    return this.#place
  }

  /**
   * The connection is closed.
   * @param wasUp whether the link was up with it
   * @param lastRefusal what the server has refused since it last passed the test
   */
  closed(wasUp: boolean, lastRefusal: RedisProblem | undefined): void {
    const { condition } = this.#deps
    const known = condition.trouble?.problem.code
    const nowMs = performance.now()
    const isAtOnce = !wasUp && nowMs - this.#reachedMs < atOnceMs
    this.#endsAtOnceSinceMs = isAtOnce ? (this.#endsAtOnceSinceMs ?? nowMs) : undefined
    const endsAtOnce = nowMs - (this.#endsAtOnceSinceMs ?? Infinity) >= endsAtOnceForMs
    if (wasUp) condition.set(lastRefusal ?? lostProblem(this.#place))
    else if (endsAtOnce && known !== undefined && unreached.has(known)) condition.set(closedAtOnceProblem(this.#place))
    else if (known === undefined) {
      if (this.#place.isCluster === true) this.#setWithReason(muteProblem(this.#place))
      else condition.set((this.#reachedMs > 0 ? closedAtOnceProblem : muteProblem)(this.#place))
    }
    this.#reachedMs = -Infinity
  }

  get #hasSentinels(): boolean {
    return redisAddress(this.#deps.access.url).topology === 'sentinel'
  }

  #connected(): void {
    this.#reachedMs = performance.now()
    if (!this.#hasSentinels) return
    const { remoteAddress: host, remotePort: port } = this.#deps.client.stream
    if (host !== undefined && port !== undefined) this.#place = { ...this.#place, host, at: hostAndPort(host, port) }
  }

  #failed(failure: Error): void {
    const { access, condition, isUp } = this.#deps
    // ioredis 6.0.0: what the last node of a Cluster that was asked has said.
    const error =
      'lastNodeError' in failure && types.isNativeError(failure.lastNodeError) ? failure.lastNodeError : failure
    // ioredis 6.0.0 goes on asking Sentinels without ending a connection.
    const isOfSentinels = error.message.startsWith('All sentinels are unreachable')
    const problem = isOfSentinels
      ? sentinelProblem(this.#sentinelError, placeOf(access))
      : problemOf(error, this.#placeIn(error))
    if (!problem || isUp()) return
    if (isOfSentinels && problem.kind === 'away') this.#setWithReason(problem)
    else condition.set(problem)
  }

  /** Sets that none of several hosts answers, or why: of TLS, ioredis 6.0.0 does not tell it. */
  #setWithReason(otherwise: RedisProblem): void {
    if (!this.#place.tls) this.#deps.condition.set(otherwise)
    else if (performance.now() - this.#reasonSoughtMs >= seekEveryMs) void this.#seekReason(otherwise)
  }

  async #seekReason(otherwise: RedisProblem): Promise<void> {
    const { access, name, condition, isUp } = this.#deps
    this.#reasonSoughtMs = performance.now()
    const errors = await connectionErrors(access, name)
    if (isUp()) return
    const problems = Array.from(errors, ([{ host, port }, error]) =>
      problemOf(error, { ...placeOf(access), host, at: hostAndPort(host, port) }),
    )
    const known = problems.find((problem) => problem?.kind === 'settings')
    if (known) condition.set(known)
    else if (condition.trouble?.problem.kind !== 'settings') condition.set(otherwise)
  }

  /** A node of a Cluster, which may have told names or addresses of others that their certificates are not for. */
  #nodeFailed(error: Error, at: string): void {
    const { condition, isUp } = this.#deps
    const problem = problemOf(error, { ...this.#place, at, host: at.slice(0, at.lastIndexOf(':')) })
    if (problem?.code === 'CERTIFICATE' && !isUp()) condition.set(problem)
  }

  /** Which server an error is about: Sentinels may have named another one by now. */
  #placeIn(error: Error): RedisPlace {
    if (!this.#hasSentinels) return this.#place
    const { address, port } = error as { address?: unknown; port?: unknown }
    if (typeof address !== 'string' || typeof port !== 'number') return this.#place
    return { ...this.#place, host: address, at: hostAndPort(address, port) }
  }
}

/** Codes of what is told of a server that cannot be reached. */
const unreached: ReadonlySet<string> = new Set(['LOST', 'ECONNREFUSED', 'ETIMEDOUT'])
