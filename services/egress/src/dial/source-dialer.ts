import { HappyEyeballs, type HappyEyeballsDeps } from './happy-eyeballs.ts'
import type { Dialer, DialRequest, Dialled } from './dialer.ts'

/** Dials from the addresses that a pool gives, bound to each of them. */
export class SourceDialer implements Dialer {
  readonly #deps: HappyEyeballsDeps

  constructor(deps: HappyEyeballsDeps) {
    this.#deps = deps
  }

  /** The socket must be listened to in the turn in which this resolves: it has no listener for its errors. */
  dial(request: DialRequest): Promise<Dialled> {
    return new Promise((resolve) => new HappyEyeballs(this.#deps, request, resolve).start())
  }
}
