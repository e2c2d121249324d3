import type { OnReadOpts } from 'node:net'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import type { Target } from '@ipfleet/net/target.ts'
import type { ClientSignal, Dialled, DialRequest } from '../dial/dial-request.ts'
import type { Dialer } from '../dial/happy-eyeballs.ts'
import type { Source } from '../sources/source-pool.ts'
import { dialRefusal, refusal, verdictRefusal } from './proxy-status.ts'
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

  /** The name is looked up once, every address of it is checked, and only those that passed are dialled. */
  async route(
    target: Target,
    { session, source: chosen, mayReach }: Identity,
    method: 'connect' | 'forward',
    signal: ClientSignal,
    onread?: OnReadOpts,
  ): Promise<DialRequest> {
    const verdict = await this.#deps.policy.judge(target, method)
    if (signal.aborted) throw refusal('client_left', 'http_request_error')
    if (verdict.kind !== 'allowed') throw verdictRefusal(verdict)
    const addresses = mayReach === undefined ? verdict.addresses : verdict.addresses.filter(mayReach(target))
    if (addresses.length === 0) throw refusal('target_refused', 'http_request_denied', 'user')
    return { target, addresses, session, chosen, signal, onread }
  }

  async dial(context: RequestContext, route: DialRequest): Promise<Connected> {
    const dialled = await this.#deps.dialer.dial(route)
    if (dialled.kind === 'connected') {
      context.source = dialled.source
      if (!route.signal.aborted) {
        this.#deps.record.connected(dialled.source, dialled.durationMs)
        return dialled
      }
      dialled.socket.destroy()
    }
    if (dialled.kind === 'connected' || dialled.kind === 'aborted') throw refusal('client_left', 'http_request_error')
    if (dialled.kind === 'failed') context.source = dialled.source
    throw dialRefusal(dialled)
  }
}
