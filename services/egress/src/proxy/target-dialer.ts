import type { OnReadOpts } from 'node:net'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import type { Target, TargetVerdict } from '@ipfleet/net/target.ts'
import type { ClientSignal, Dialled, DialRequest } from '../dial/dial-request.ts'
import type { Dialer } from '../dial/happy-eyeballs.ts'
import type { Source } from '../sources/source-pool.ts'
import { dialRefusal, type Refusal, refusal, verdictRefusal } from './proxy-status.ts'
import type { Identity, RequestContext } from './request-context.ts'

export interface TargetDialerDeps {
  readonly policy: TargetPolicy
  readonly dialer: Dialer
  readonly record: { connected(source: Source, durationMs: number): void }
}

export type Connected = Extract<Dialled, { kind: 'connected' }>

/** Connects requests to their targets. Its methods throw a Refusal. */
export class TargetDialer {
  readonly #deps: TargetDialerDeps

  constructor(deps: TargetDialerDeps) {
    this.#deps = deps
  }

  /**
   * The name is looked up once, every address of it is checked, and only those that passed are dialled. A promise only if
   * the name must be looked up.
   */
  route(
    target: Target,
    who: Identity,
    method: 'connect' | 'forward',
    signal: ClientSignal,
    onread?: OnReadOpts,
  ): DialRequest | Promise<DialRequest> {
    const asked = { target, session: who.session, chosen: who.source, signal, onread }
    const verdict = this.#deps.policy.judge(target, method)
    return verdict instanceof Promise
      ? verdict.then((later) => routeOf(later, asked, who))
      : routeOf(verdict, asked, who)
  }

  dial(context: RequestContext, route: DialRequest): Promise<Connected> {
    return new Promise((resolve, reject) => {
      this.#deps.dialer.dial(route, (dialled) => {
        if (dialled.kind === 'connected' || dialled.kind === 'failed') context.source = dialled.source
        if (dialled.kind === 'connected' && !route.signal.aborted) {
          this.#deps.record.connected(dialled.source, dialled.durationMs)
          resolve(dialled)
          return
        }
        if (dialled.kind === 'connected') dialled.socket.destroy()
        const hasLeft = dialled.kind === 'connected' || dialled.kind === 'aborted'
        reject(hasLeft ? clientLeft() : dialRefusal(dialled))
      })
    })
  }
}

/** @throws Refusal */
function routeOf(verdict: TargetVerdict, asked: Omit<DialRequest, 'addresses'>, { mayReach }: Identity): DialRequest {
  if (asked.signal.aborted) throw clientLeft()
  if (verdict.kind !== 'allowed') throw verdictRefusal(verdict)
  const addresses = mayReach === undefined ? verdict.addresses : verdict.addresses.filter(mayReach(asked.target))
  if (addresses.length === 0) throw refusal('target_refused', 'http_request_denied', 'user')
  return { ...asked, addresses }
}

function clientLeft(): Refusal {
  return refusal('client_left', 'http_request_error')
}
