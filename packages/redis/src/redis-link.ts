import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { connectPromptly, minCommandTimeoutMs, minSocketTimeoutMs } from './connection.ts'
import { ConnectionWatch } from './connection-watch.ts'
import { withinDeadline } from './deadline.ts'
import { defaultPrefix, FleetNames } from './fleet-names.ts'
import { LinkCondition } from './link-condition.ts'
import { callLua, type LuaArgument, type LuaCommand } from './lua-command.ts'
import type { RedisAccess } from './redis-access.ts'
import { redisAddress, type Topology } from './redis-address.ts'
import { problemOf, type RedisProblem, scriptsProblem, silentProblem, unheardProblem } from './redis-problem.ts'
import { firstOf, isReplyError, RedisUnavailable } from './redis-unavailable.ts'
import { currentBudget } from './request-budget.ts'
import { untilMoved } from './until-moved.ts'
import { mastersOf, type RedisNeed, selfTest } from './self-test.ts'

export interface RedisLinkOptions extends RedisAccess {
  /** Shown in CLIENT LIST and in logs. */
  readonly name: string
  /** Deadline of one command, where the request that it is for may wait so long yet. */
  readonly timeoutMs?: number
  /** The name of the fleet: REDIS_PREFIX. */
  readonly prefix?: string
  /** What the server has to do for it. The link is up while it does; with nothing, while it answers. */
  readonly needs?: readonly RedisNeed[]
}

interface RedisLinkEvents {
  /**
   * Connected and answering: state kept elsewhere while it was away can be brought back. Told again when the Cluster has
   * other masters, which may have lost some.
   */
  up: []
  down: []
  /** One command: how long, and whether it was answered. */
  command: [durationMs: number, outcome: 'ok' | 'failed']
}

export interface RunOptions {
  /** It is sent also when the request may wait no longer, and is not waited for then: others have to know of it. */
  readonly isVital?: boolean
  /** It is not tried again while the slot of its keys is half moved: the caller has another way. */
  readonly hasOtherWay?: boolean
}

const failuresToOpen = 2
const probeEveryMs = 250
/** How often a server that refuses what is needed is asked again. */
const retestEveryMs = 1000
/** How long the link is up before another connection to the same server is missed. */
const unheardAfterMs = 5000
/**
 * What the test may not meet is over when not met for so long: a value too large, one command too many, or nodes of a Cluster
 * that are away while others pass the test.
 */
const troubleLastsMs = 5000

/**
 * One Redis, a server or a Cluster, as the fleet uses it: each command has a deadline, and after two failures in a row none is tried
 * until a probe gets through; probing is done in the background, not at the expense of requests. All that a request waits
 * is within its budget (`RequestBudget`), so that a slow server costs it no more than one deadline.
 *
 * A server that answers is not used until it has done what the service needs, and not any more when it refuses that.
 */
export class RedisLink extends EventEmitter<RedisLinkEvents> {
  readonly name: string
  /** What the fleet calls its keys and channels there. */
  readonly names: FleetNames
  /** What is wrong with the server. One that only refuses to write is `up` all the same. */
  readonly condition = new LinkCondition()
  /** For libraries that bring their own commands (redlock); everything else goes through `run`. */
  readonly client: Redis
  readonly #access: RedisAccess
  readonly #connection: ConnectionWatch
  readonly #needs: readonly RedisNeed[]
  readonly #timeoutMs: number
  readonly #timer: NodeJS.Timeout
  #failuresInARow = 0
  /** What the server has said, if it has refused anything since it last passed the test. */
  #lastRefusal: RedisProblem | undefined
  #up = false
  /** Infinity while it is not. */
  #upSinceMs = Infinity
  /** When it went down last. */
  #fellMs = -Infinity
  /** That was soon after it had gone down before. */
  #isUnsteady = false
  #hasPassed = false
  #masters: readonly Redis[] = []
  #isTesting = false
  #testedMs = -Infinity
  #refusedMs = -Infinity
  #reconnectedMs = -Infinity

  constructor(options: RedisLinkOptions) {
    super()
    const { url, name, timeoutMs = 100, prefix = defaultPrefix, needs = [] } = options
    // Every part that keeps state in Redis listens for `up`; there are more than ten of them in a large service.
    this.setMaxListeners(50)
    this.name = name
    this.names = new FleetNames({ prefix, db: redisAddress(url).db })
    this.#access = options
    this.#needs = needs
    this.#timeoutMs = timeoutMs
    this.client = connectPromptly(options, name, {
      // A server that has answered nothing for so long loses its connection, and what waits there its answer. Only on a
      // Cluster a command may wait for no connection: for another node to take over a slot.
      socketTimeout: Math.max(minSocketTimeoutMs, timeoutMs),
      commandTimeout: this.topology === 'cluster' ? Math.max(minCommandTimeoutMs, timeoutMs) : undefined,
    })
    this.#connection = new ConnectionWatch({
      access: options,
      name,
      client: this.client,
      condition: this.condition,
      isUp: () => this.#up,
    })
    this.client.on('ready', () => void this.#test())
    this.client.on('close', () => this.#closed())
    this.#timer = setInterval(() => this.#probe(), probeEveryMs).unref()
  }

  get topology(): Topology {
    return redisAddress(this.#access.url).topology
  }

  /** Whether a command may concern one slot only. */
  get isCluster(): boolean {
    return this.#connection.place.isCluster === true
  }

  /** Host and port of the master that Sentinels have named; undefined while there is none, or without Sentinels. */
  get master(): string | undefined {
    return this.topology === 'sentinel' && this.client.status === 'ready' ? this.#connection.place.at : undefined
  }

  /** Whether commands are being tried. */
  get up(): boolean {
    return this.#up
  }

  /**
   * Runs one command, or one short chain of them.
   * @throws RedisUnavailable, and nothing else, when no answer came within the deadline or Redis refused.
   */
  run<T>(
    command: (client: Redis) => Promise<T>,
    { isVital = false, hasOtherWay = false }: RunOptions = {},
  ): Promise<T> {
    if (!this.#up) return Promise.reject(this.#unavailable())
    const budget = currentBudget()
    const timeoutMs = Math.min(budget?.leftMs ?? Infinity, this.#timeoutMs)
    if (timeoutMs === 0 && !isVital) return Promise.reject(new RedisUnavailable('spent'))
    const tried = hasOtherWay || !this.isCluster ? command : untilMoved(command)
    return budget ? budget.spend(() => this.#attempt(tried, timeoutMs)) : this.#attempt(tried, timeoutMs)
  }

  /** Runs a Lua command. @throws RedisUnavailable */
  lua(
    command: LuaCommand,
    keys: readonly string[],
    args: readonly LuaArgument[],
    options?: RunOptions,
  ): Promise<unknown> {
    return this.run((client) => callLua(client, 'text', command, keys, args), options)
  }

  /** As `lua`, with strings in the reply as bytes. @throws RedisUnavailable */
  luaForBytes(
    command: LuaCommand,
    keys: readonly string[],
    args: readonly LuaArgument[],
    options?: RunOptions,
  ): Promise<unknown> {
    return this.run((client) => callLua(client, 'bytes', command, keys, args), options)
  }

  /**
   * Something that goes past this link was refused by the same server: a subscription, a command of a library. Or there is no
   * connection for it (RedisUnavailable), which is news when the link has had one for a while.
   */
  refused(error: unknown): void {
    const isUnheard = error instanceof RedisUnavailable && performance.now() - this.#upSinceMs >= unheardAfterMs
    const problem = isUnheard ? unheardProblem(this.#connection.place) : this.#refusalIn(error)
    if (problem === undefined) return
    // Whether it is the server that cannot serve now is for the test to find out.
    if (problem.kind !== 'away') this.condition.set(problem)
    if (lasting.has(problem.code)) this.#refusedMs = performance.now()
    if (performance.now() - this.#testedMs >= retestEveryMs) void this.#test()
  }

  close(): void {
    clearInterval(this.#timer)
    this.removeAllListeners()
    this.condition.removeAllListeners()
    this.client.disconnect()
  }

  /**
   * The breaker. Not cockatiel's (4.0.0), which admits a request as its probe, lets others wait for that one's verdict,
   * and measures its pause by the wall clock: set back by an hour, it would keep a healthy server away for that hour.
   */
  get #isOpen(): boolean {
    return this.#failuresInARow >= failuresToOpen
  }

  /** Not `async`: with a promise for each step, it cost as much as the command itself. */
  #attempt<T>(command: (client: Redis) => Promise<T>, timeoutMs = this.#timeoutMs): Promise<T> {
    if (this.client.status !== 'ready') return Promise.reject(this.#unavailable())
    const startedMs = performance.now()
    return withinDeadline(begun(command, this.client), timeoutMs).then(
      (answer) => {
        this.#count('answered')
        this.emit('command', performance.now() - startedMs, 'ok')
        return answer
      },
      (error: unknown) => {
        const failure = RedisUnavailable.from(error)
        this.#countFailure(failure, timeoutMs)
        this.emit('command', performance.now() - startedMs, 'failed')
        throw new RedisUnavailable(failure.reason, failure.cause, this.condition.trouble?.problem)
      },
    )
  }

  #countFailure(failure: RedisUnavailable, timeoutMs: number): void {
    this.refused(failure.cause)
    // A server that had less time than it may take has not failed.
    if (failure.reason === 'timeout' && timeoutMs < this.#timeoutMs) return
    this.#count(isOutage(failure) ? 'outage' : 'answered', this.#refusalIn(failure.cause))
  }

  #unavailable(): RedisUnavailable {
    const problem = this.condition.trouble?.problem
    return new RedisUnavailable(problem?.kind === 'settings' ? 'refused' : 'down', undefined, problem)
  }

  #refusalIn(error: unknown): RedisProblem | undefined {
    return isReplyError(error) ? problemOf(firstOf(error), this.#connection.place) : undefined
  }

  /** @param refusal what the server has said, if it has said anything */
  #count(result: 'answered' | 'outage', refusal?: RedisProblem): void {
    this.#failuresInARow = result === 'outage' ? this.#failuresInARow + 1 : 0
    if (result === 'outage') this.#lastRefusal = refusal ?? this.#lastRefusal
    if (this.#isOpen && this.condition.trouble === undefined) {
      this.condition.set(this.#lastRefusal ?? silentProblem(this.#connection.place))
    }
    this.#settle()
  }

  #probe(): void {
    if (this.client.status !== 'ready') return
    if (this.isCluster) this.#noticeMasters()
    if (this.#up && this.condition.trouble === undefined) {
      // It has been counted.
      this.#attempt((client) => client.ping()).catch(() => {})
      return
    }
    const isAway = this.condition.trouble?.problem.kind === 'away'
    if ((isAway && !this.#isUnsteady) || performance.now() - this.#testedMs >= retestEveryMs) void this.#test()
  }

  #noticeMasters(): void {
    const masters = mastersOf(this.client)
    const known = this.#masters
    this.#masters = masters
    const areSame = masters.length === known.length && masters.every((master) => known.includes(master))
    if (!areSame && known.length > 0 && this.#up) this.emit('up')
  }

  /** Goes past the breaker: this is its probe. */
  async #test(): Promise<void> {
    if (this.#isTesting) return
    this.#isTesting = true
    this.#testedMs = performance.now()
    try {
      this.#judge(await this.#attempt((client) => selfTest(client, this.names, this.#needs, this.#connection.place)))
    } catch (error) {
      // One that does not answer has been counted; one that refuses even to try has been found out.
      const cause = error instanceof RedisUnavailable ? error.cause : undefined
      const { place } = this.#connection
      const mayFailScripts = this.#needs.length > 0 && !this.#hasPassed
      const problem = isReplyError(cause)
        ? (problemOf(cause, place) ?? (mayFailScripts ? scriptsProblem(firstOf(cause).message, place) : undefined))
        : undefined
      if (problem) this.#judge(problem)
    } finally {
      this.#isTesting = false
    }
  }

  #judge(problem: RedisProblem | undefined): void {
    this.#hasPassed = problem === undefined || problem.kind === 'refused'
    if (this.#hasPassed) this.#lastRefusal = undefined
    if (problem) this.condition.set(problem)
    this.#settle()
    const sinceMs = Math.max(this.#refusedMs, this.#isUnsteady ? this.#fellMs : -Infinity)
    if (!problem && performance.now() - sinceMs >= troubleLastsMs) this.condition.clear()
    if (problem?.code === 'READONLY') this.#reconnect()
  }

  /** After a failover, to what may be the new primary by now. Not more than once a second: this one may stay a replica. */
  #reconnect(): void {
    if (performance.now() - this.#reconnectedMs < retestEveryMs) return
    this.#reconnectedMs = performance.now()
    this.client.disconnect(true)
  }

  #closed(): void {
    this.#connection.closed(this.#up, this.#lastRefusal)
    this.#hasPassed = false
    this.#settle()
  }

  #settle(): void {
    const up = this.client.status === 'ready' && this.#hasPassed && !this.#isOpen
    if (up === this.#up) return
    this.#up = up
    const nowMs = performance.now()
    this.#upSinceMs = up ? nowMs : Infinity
    if (!up) {
      this.#isUnsteady = nowMs - this.#fellMs < troubleLastsMs
      this.#fellMs = nowMs
    }
    this.emit(up ? 'up' : 'down')
  }
}

/** Codes of what may be refused here and granted there. */
const lasting: ReadonlySet<string> = new Set(['OOM', 'NOPERM', 'CLUSTER', 'COMMAND', 'SCRIPTS', 'WRONGTYPE', 'UNHEARD'])

/** What a command throws at once is its rejection too. */
function begun<T>(command: (client: Redis) => Promise<T>, client: Redis): Promise<T> {
  try {
    return command(client)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** A server that refuses one command (full, wrong type) is there; only silence and absence open the breaker. */
function isOutage({ reason }: RedisUnavailable): boolean {
  return reason === 'down' || reason === 'timeout'
}
