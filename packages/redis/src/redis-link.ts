import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { connect, databaseOf } from './connection.ts'
import { withinDeadline } from './deadline.ts'
import { defaultPrefix, FleetNames } from './fleet-names.ts'
import { callLua, type LuaArgument, type LuaCommand } from './lua-command.ts'
import { RedisUnavailable } from './redis-unavailable.ts'

export interface RedisLinkOptions {
  readonly url: string
  /** Shown in CLIENT LIST and in logs. */
  readonly name: string
  /** Deadline of one command. */
  readonly timeoutMs?: number
  /** The name of the fleet: REDIS_PREFIX. */
  readonly prefix?: string
}

interface RedisLinkEvents {
  /** Connected and answering: state kept elsewhere while it was away can be brought back. */
  up: []
  down: []
  /** One command: how long, and whether it was answered. */
  command: [durationMs: number, outcome: 'ok' | 'failed']
}

const failuresToOpen = 2
const probeEveryMs = 250

/**
 * One Redis server as the fleet uses it: each command has a deadline, and after two failures in a row none is tried
 * until a probe gets through. A request thus loses at most two deadlines to a server that hangs; probing is done in
 * the background, not at the expense of requests.
 */
export class RedisLink extends EventEmitter<RedisLinkEvents> {
  readonly name: string
  /** What the fleet calls its keys and channels there. */
  readonly names: FleetNames
  /** For libraries that bring their own commands (redlock); everything else goes through `run`. */
  readonly client: Redis
  readonly #timeoutMs: number
  readonly #probe: NodeJS.Timeout
  #failuresInARow = 0
  #up = false

  constructor({ url, name, timeoutMs = 100, prefix = defaultPrefix }: RedisLinkOptions) {
    super()
    // Every part that keeps state in Redis listens for `up`; there are more than ten of them in a large service.
    this.setMaxListeners(50)
    this.name = name
    this.names = new FleetNames({ prefix, db: databaseOf(url) })
    this.#timeoutMs = timeoutMs
    this.client = connect(url, name)
    this.client.on('ready', () => void this.#ping())
    this.client.on('close', () => this.#settle())
    this.#probe = setInterval(() => void this.#ping(), probeEveryMs).unref()
  }

  /** Whether commands are being tried. */
  get up(): boolean {
    return this.#up
  }

  /**
   * Runs one command, or one short chain of them.
   * @throws RedisUnavailable, and nothing else, when no answer came within the deadline or Redis refused.
   */
  async run<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    if (this.#open) throw new RedisUnavailable('down')
    return this.#attempt(command)
  }

  /** Runs a Lua command. @throws RedisUnavailable */
  lua(command: LuaCommand, keys: readonly string[], args: readonly LuaArgument[]): Promise<unknown> {
    return this.run((client) => callLua(client, 'text', command, keys, args))
  }

  /** As `lua`, with strings in the reply as bytes. @throws RedisUnavailable */
  luaForBytes(command: LuaCommand, keys: readonly string[], args: readonly LuaArgument[]): Promise<unknown> {
    return this.run((client) => callLua(client, 'bytes', command, keys, args))
  }

  close(): void {
    clearInterval(this.#probe)
    this.removeAllListeners()
    this.client.disconnect()
  }

  /**
   * The breaker. Not cockatiel's (4.0.0), which admits a request as its probe, lets others wait for that one's verdict,
   * and measures its pause by the wall clock: set back by an hour, it would keep a healthy server away for that hour.
   */
  get #open(): boolean {
    return this.#failuresInARow >= failuresToOpen
  }

  async #attempt<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    if (this.client.status !== 'ready') throw new RedisUnavailable('down')
    const startedMs = performance.now()
    try {
      const answer = await withinDeadline(command(this.client), this.#timeoutMs)
      this.#count('answered')
      this.emit('command', performance.now() - startedMs, 'ok')
      return answer
    } catch (error) {
      const failure = RedisUnavailable.from(error)
      this.#count(isOutage(failure) ? 'outage' : 'answered')
      this.emit('command', performance.now() - startedMs, 'failed')
      throw failure
    }
  }

  #count(result: 'answered' | 'outage'): void {
    this.#failuresInARow = result === 'outage' ? this.#failuresInARow + 1 : 0
    this.#settle()
  }

  /** Goes past the breaker: this is its probe. */
  async #ping(): Promise<void> {
    try {
      await this.#attempt((client) => client.ping())
    } catch {
      // It has been counted.
    }
  }

  #settle(): void {
    const up = this.client.status === 'ready' && !this.#open
    if (up === this.#up) return
    this.#up = up
    this.emit(up ? 'up' : 'down')
  }
}

/** A server that refuses one command (full, wrong type) is there; only silence and absence open the breaker. */
function isOutage({ reason }: RedisUnavailable): boolean {
  return reason === 'down' || reason === 'timeout'
}
