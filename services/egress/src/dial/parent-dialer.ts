import { once } from 'node:events'
import { connect, type LookupFunction, type Socket } from 'node:net'
import type { Clock } from '@ipfleet/core/clock.ts'
import { DeadlineWatch } from '@ipfleet/core/deadline-watch.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { lookupBy } from '@ipfleet/net/lookup-by.ts'
import type { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { Opening, OpeningFault } from '../server/opening.ts'
import type { ParentProxy } from '../sources/parent-proxy.ts'
import { isOwnLack } from './connect-failure.ts'
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
  /** See `connectFailure`. */
  | { readonly kind: 'own_lack'; readonly code: string }

export interface ParentStart {
  /** After which a parent that is not reached has failed. */
  readonly reachMs: number
  /** Told before the parent is asked for the target. */
  readonly onReached: () => void
  readonly onEnd: (end: ParentEnd) => void
}

/** How long one address of a parent has, at most, before the next is tried: a SYN that was lost is sent again after 1 s. */
const nextAddressMs = 1500
const deadlines = new DeadlineWatch()

/**
 * Opens connections through parent proxies. How long that may take is the caller's to say: a parent that is reached and
 * says nothing may wait for the target.
 */
export class ParentDialer {
  readonly #clock: Clock
  readonly #lookup: LookupFunction

  constructor({ names, clock }: ParentDialerDeps) {
    this.#clock = clock
    this.#lookup = lookupBy(names)
  }

  /** As `open`, with callbacks that are not called once it is stopped. */
  start(parent: ParentProxy, to: ParentTarget, { onEnd, ...progress }: ParentStart): { stop(): void } {
    const stopping = new AbortController()
    void this.open(parent, to, stopping.signal, progress).then((end) => {
      if (!stopping.signal.aborted) onEnd(end)
      else if (end.kind === 'connected') end.socket.destroy()
    })
    return { stop: () => stopping.abort() }
  }

  /**
   * Opens a tunnel through a parent. Its socket has no listener, is paused, and may be closed half by half. Never
   * rejects. When `signal` is aborted it closes its socket, and what it resolves with has no meaning.
   */
  async open(
    parent: ParentProxy,
    to: ParentTarget,
    signal: AbortSignal,
    { reachMs, onReached }: Partial<Omit<ParentStart, 'onEnd'>> = {},
  ): Promise<ParentEnd> {
    const startedMs = this.#clock.nowMs()
    try {
      const socket = await this.reach(parent, signal, reachMs)
      if (!signal.aborted) onReached?.()
      const answer = await this.#ask(socket, parent, to, signal)
      if (answer.kind === 'tunnel') {
        return { kind: 'connected', socket, durationMs: this.#clock.nowMs() - startedMs }
      }
      socket.destroy()
      return answer
    } catch (error) {
      const code = codeOf(error)
      return { kind: isOwnLack(code) ? 'own_lack' : 'parent_failed', code }
    }
  }

  /**
   * Connects to the parent itself, at the addresses of its name one after the other.
   * @throws Error with the system's code, or that of the look-up
   */
  async reach({ host, port }: ParentProxy, signal: AbortSignal, reachMs = Infinity): Promise<Socket> {
    const socket = connect({
      host,
      port,
      lookup: this.#lookup,
      autoSelectFamily: true,
      // Node takes whole numbers from 1 on.
      autoSelectFamilyAttemptTimeout: Math.max(1, Math.min(nextAddressMs, Math.round(reachMs / 2))),
      allowHalfOpen: true,
      noDelay: true,
    })
    const endMs = performance.now() + reachMs
    const deadline = {
      checkDeadline: (nowMs: number) => void (nowMs >= endMs && socket.destroy(failure('ETIMEDOUT'))),
    }
    deadlines.add(deadline)
    try {
      await once(socket, 'connect', { signal })
      return socket
    } catch (error) {
      socket.on('error', ignore).destroy()
      throw error
    } finally {
      deadlines.delete(deadline)
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
}

function failure(code: string): Error {
  return Object.assign(new Error('the parent is not reached'), { code })
}

function codeOf(error: unknown): string {
  if (error instanceof OpeningFault) return `parent ${error.kind}`
  return errorCode(error) ?? 'EIO'
}

function ignore(): void {}
