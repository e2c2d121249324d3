import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Clock } from '@ipfleet/core/clock.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import type { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { Opening, OpeningFault } from '../server/opening.ts'
import type { ParentProxy } from '../sources/parent-proxy.ts'
import { askForTunnel, type ParentAnswer, type ParentTarget } from './parent-handshake.ts'

export interface ParentDialerDeps {
  /** For the names of parents, which no policy judges. */
  readonly names: NameLookups
  readonly clock: Clock
}

export type ParentEnd =
  /** Since the dial began. */
  | { readonly kind: 'connected'; readonly socket: Socket; readonly durationMs: number }
  | Exclude<ParentAnswer, { kind: 'tunnel' }>

/**
 * Opens connections through parent proxies. How long that may take is the caller's to say: a silent parent may wait for
 * the target.
 */
export class ParentDialer {
  readonly #deps: ParentDialerDeps

  constructor(deps: ParentDialerDeps) {
    this.#deps = deps
  }

  /** As `open`, with a callback that is not called once it is stopped. */
  start(parent: ParentProxy, to: ParentTarget, onEnd: (end: ParentEnd) => void): { stop(): void } {
    const stopping = new AbortController()
    void this.open(parent, to, stopping.signal).then((end) => {
      if (!stopping.signal.aborted) onEnd(end)
      else if (end.kind === 'connected') end.socket.destroy()
    })
    return { stop: () => stopping.abort() }
  }

  /**
   * Opens a tunnel through a parent. Its socket has no listener, is paused, and may be closed half by half. Never
   * rejects. When `signal` is aborted it closes its socket, and what it resolves with has no meaning.
   */
  async open(parent: ParentProxy, to: ParentTarget, signal: AbortSignal): Promise<ParentEnd> {
    const startedMs = this.#deps.clock.nowMs()
    try {
      const socket = await this.reach(parent, signal)
      const answer = await this.#ask(socket, parent, to, signal)
      if (answer.kind === 'tunnel') {
        return { kind: 'connected', socket, durationMs: this.#deps.clock.nowMs() - startedMs }
      }
      socket.destroy()
      return answer
    } catch (error) {
      return { kind: 'parent_failed', code: codeOf(error) }
    }
  }

  /**
   * Connects to the parent itself.
   * @throws Error with the system's code, or that of the look-up
   */
  async reach({ host, port, isAddress }: ParentProxy, signal: AbortSignal): Promise<Socket> {
    const address = isAddress ? host : await this.#addressOf(host)
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true })
    try {
      await once(socket, 'connect', { signal })
      return socket
    } catch (error) {
      socket.on('error', ignore).destroy()
      throw error
    }
  }

  async #ask(socket: Socket, parent: ParentProxy, to: ParentTarget, signal: AbortSignal): Promise<ParentAnswer> {
    const opening = new Opening(socket)
    const onAbort = (): void => void socket.destroy()
    signal.addEventListener('abort', onAbort)
    try {
      const answer = await askForTunnel(socket, opening, parent, to)
      // What the target has said already.
      const early = opening.release()
      if (early.length > 0) socket.unshift(early)
      return answer
    } catch (error) {
      opening.release()
      socket.on('error', ignore).destroy()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #addressOf(name: string): Promise<string> {
    const found = await this.#deps.names.addressesOf(name)
    if (found.kind === 'unresolved') throw Object.assign(new Error('parent not found'), { code: found.code })
    return found.addresses[0]?.address ?? name
  }
}

function codeOf(error: unknown): string {
  if (error instanceof OpeningFault) return `parent ${error.kind}`
  return errorCode(error) ?? 'EIO'
}

function ignore(): void {}
