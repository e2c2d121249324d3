import type { Redis } from 'ioredis'
import { connect } from './connection.ts'

export type MessageListener = (message: string) => void

/**
 * The process's one subscriber connection (pub/sub needs its own). Messages may be lost at any time, so every
 * listener must have another way to learn what it missed; `onGap` says when that is surely needed.
 */
export class Subscriber {
  readonly #client: Redis
  readonly #listeners = new Map<string, Set<MessageListener>>()
  readonly #gapListeners = new Set<() => void>()
  readonly #deadlineMs: number
  #connectedOnce = false

  constructor(url: string, deadlineMs = 100) {
    this.#deadlineMs = deadlineMs
    this.#client = connect(url, 'subscriber', { autoResubscribe: false, commandTimeout: 1000 })
    this.#client.on('message', (channel, message) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message)
    })
    this.#client.on('ready', () => void this.#resubscribe())
  }

  /** Called after a reconnect, once every channel is subscribed again: messages in between are gone. */
  onGap(listener: () => void): void {
    this.#gapListeners.add(listener)
  }

  /**
   * Listens on a channel. Resolves when Redis has confirmed the subscription, or after the deadline without it (the
   * listener stays and is subscribed when the connection returns); it never rejects.
   * @returns a function that ends this listening.
   */
  async subscribe(channel: string, listener: MessageListener): Promise<() => void> {
    let listeners = this.#listeners.get(channel)
    if (!listeners) this.#listeners.set(channel, (listeners = new Set()))
    listeners.add(listener)
    await this.#confirm(this.#client.subscribe(channel))
    return () => this.#unsubscribe(channel, listener)
  }

  close(): void {
    this.#client.disconnect()
  }

  #unsubscribe(channel: string, listener: MessageListener): void {
    const listeners = this.#listeners.get(channel)
    if (!listeners?.delete(listener) || listeners.size > 0) return
    this.#listeners.delete(channel)
    this.#client.unsubscribe(channel).catch(() => {})
  }

  async #resubscribe(): Promise<void> {
    const channels = [...this.#listeners.keys()]
    if (channels.length > 0) await this.#confirm(this.#client.subscribe(...channels))
    if (this.#connectedOnce) for (const listener of this.#gapListeners) listener()
    this.#connectedOnce = true
  }

  async #confirm(subscription: Promise<unknown>): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#deadlineMs)
    await Promise.race([subscription.catch(() => {}), late])
    clearTimeout(timer)
  }
}
