import { EventEmitter } from 'node:events'
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from 'cockatiel'
import type { Redis } from 'ioredis'
import { connect } from './connection.ts'
import { withinDeadline } from './deadline.ts'
import { callLua, type LuaArgument, type LuaCommand } from './lua-command.ts'
import { RedisUnavailable } from './redis-unavailable.ts'

export interface RedisLinkOptions {
  readonly url: string
  /** Shown in CLIENT LIST and in logs. */
  readonly name: string
  /** Deadline of one command. */
  readonly timeoutMs?: number
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
  /** For libraries that bring their own commands (redlock); everything else goes through `run`. */
  readonly client: Redis
  readonly #timeoutMs: number
  readonly #breaker = circuitBreaker(
    handleWhen((error) => error instanceof RedisUnavailable && (error.reason === 'down' || error.reason === 'timeout')),
    { halfOpenAfter: probeEveryMs - 50, breaker: new ConsecutiveBreaker(failuresToOpen) },
  )
  readonly #probe: NodeJS.Timeout
  #up = false

  constructor({ url, name, timeoutMs = 100 }: RedisLinkOptions) {
    super()
    // Every part that keeps state in Redis listens for `up`; there are more than ten of them in a large service.
    this.setMaxListeners(50)
    this.name = name
    this.#timeoutMs = timeoutMs
    this.client = connect(url, name)
    this.client.on('ready', () => void this.#ping())
    this.client.on('close', () => this.#settle())
    this.#breaker.onStateChange(() => this.#settle())
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
    if (this.client.status !== 'ready') throw new RedisUnavailable('down')
    const startedMs = performance.now()
    try {
      const answer = await this.#breaker.execute(() => this.#attempt(command))
      this.emit('command', performance.now() - startedMs, 'ok')
      return answer
    } catch (error) {
      this.emit('command', performance.now() - startedMs, 'failed')
      // The breaker's own refusal (BrokenCircuitError) is one more way of being down.
      throw RedisUnavailable.from(error)
    }
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

  async #attempt<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    try {
      return await withinDeadline(command(this.client), this.#timeoutMs)
    } catch (error) {
      throw RedisUnavailable.from(error)
    }
  }

  async #ping(): Promise<void> {
    try {
      await this.run((client) => client.ping())
    } catch {
      // The breaker has counted it.
    }
    this.#settle()
  }

  #settle(): void {
    const up = this.client.status === 'ready' && this.#breaker.state === CircuitState.Closed
    if (up === this.#up) return
    this.#up = up
    this.emit(up ? 'up' : 'down')
  }
}
