import { within } from '@ipfleet/core/within.ts'
import type { Redis } from 'ioredis'
import { connectToOne } from './connection.ts'
import type { RedisAccess } from './redis-access.ts'
import { RedisUnavailable } from './redis-unavailable.ts'

/** Subscribing again to what is subscribed changes nothing, and shows whether the link still carries anything. */
const renewEveryMs = 1000
/** Longer than another server takes to stand in for one that is lost. */
const toldAfterMs = 5000

export type MessageListener = (message: string) => void

/**
 * The process's one subscriber connection (pub/sub needs its own); of a Cluster, to any node, since each hears all. Messages may be lost at any time, so every
 * listener must have another way to learn what it missed; `onGap` says when that is surely needed.
 */
export class Subscriber {
  readonly #client: Redis
  readonly #listeners = new Map<string, Set<MessageListener>>()
  readonly #gapListeners = new Set<() => void>()
  readonly #deafListeners = new Set<() => void>()
  readonly #deadlineMs: number
  readonly #renewal: NodeJS.Timeout
  #refusedListener: ((error: unknown) => void) | undefined
  /** Since when messages may be lost, by the monotonic clock; undefined while they are heard. */
  #deafSinceMs: number | undefined = performance.now()

  constructor(access: RedisAccess, deadlineMs = 100) {
    this.#deadlineMs = deadlineMs
    this.#client = connectToOne(access, 'subscriber', { autoResubscribe: false, commandTimeout: 1000 })
    this.#client.on('message', (channel, message) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message)
    })
    this.#client.on('close', () => this.#lost())
    this.#client.on('ready', () => void this.#renew())
    // An idle half-open link looks like a quiet one until something is asked of it.
    this.#renewal = setInterval(() => void this.#renew(), renewEveryMs).unref()
  }

  /** Called after each connect, once every channel is subscribed (again): messages from before are gone. */
  onGap(listener: () => void): void {
    this.#gapListeners.add(listener)
  }

  /** Called about once a second while no messages are heard. */
  onDeaf(listener: () => void): void {
    this.#deafListeners.add(listener)
  }

  /**
   * Called with what the server says when it refuses a subscription, and with RedisUnavailable when it has had no
   * connection for long. Both are tried again, and told again, every second.
   */
  onRefused(listener: (error: unknown) => void): void {
    this.#refusedListener = listener
  }

  /**
   * Listens on a channel. Resolves when Redis has confirmed the subscription, or after the deadline without it (the
   * listener stays and is subscribed when the connection returns); it never rejects.
   * @returns a function that ends this listening.
   */
  async subscribe(channel: string, listener: MessageListener): Promise<() => void> {
    this.#listeners.getOrInsert(channel, new Set()).add(listener)
    await this.#confirm(this.#client.subscribe(channel))
    return () => this.#unsubscribe(channel, listener)
  }

  close(): void {
    clearInterval(this.#renewal)
    this.#client.disconnect()
  }

  #unsubscribe(channel: string, listener: MessageListener): void {
    const listeners = this.#listeners.get(channel)
    if (!listeners?.delete(listener) || listeners.size > 0) return
    this.#listeners.delete(channel)
    this.#client.unsubscribe(channel).catch(() => {})
  }

  async #renew(): Promise<void> {
    if (this.#client.status !== 'ready') return this.#deaf()
    const channels = [...this.#listeners.keys()]
    try {
      await (channels.length > 0 ? this.#client.subscribe(...channels) : this.#client.ping())
    } catch (error) {
      this.#lost()
      this.#refusedListener?.(error)
      return this.#deaf()
    }
    if (this.#deafSinceMs === undefined) return
    this.#deafSinceMs = undefined
    for (const listener of this.#gapListeners) listener()
  }

  #lost(): void {
    this.#deafSinceMs ??= performance.now()
  }

  #deaf(): void {
    for (const listener of this.#deafListeners) listener()
    const { status } = this.#client
    const forMs = performance.now() - (this.#deafSinceMs ?? Infinity)
    if (status !== 'ready' && forMs >= toldAfterMs) this.#refusedListener?.(new RedisUnavailable('down'))
  }

  async #confirm(subscription: Promise<unknown>): Promise<void> {
    const confirmed = subscription.catch((error: unknown) => {
      this.#lost()
      this.#refusedListener?.(error)
    })
    await within(this.#deadlineMs, confirmed)
  }
}
