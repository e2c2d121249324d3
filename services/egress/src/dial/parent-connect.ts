import type { ParentProxy } from '../sources/parent-proxy.ts'
import type { ParentDialer, ParentEnd } from './parent-dialer.ts'
import type { ParentTarget } from './parent-handshake.ts'

/** One dial through a parent, as `BoundConnect` is one from an address. */
export class ParentConnect {
  readonly #stop = new AbortController()

  constructor(dialer: ParentDialer, parent: ParentProxy, to: ParentTarget, onEnd: (end: ParentEnd) => void) {
    const { signal } = this.#stop
    void dialer.open(parent, to, signal).then((end) => {
      if (!signal.aborted) onEnd(end)
      else if (end.kind === 'connected') end.socket.destroy()
    })
  }

  stop(): void {
    this.#stop.abort()
  }
}
