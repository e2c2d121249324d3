import type { ChildProcess } from 'node:child_process'

/** What of a connection (Node's handle for it) is needed here. */
interface Connection {
  close(): void
}

/**
 * The connections that the primary hands to one worker. Node 26.10 (lib/internal/cluster/round_robin_handle.js,
 * nodejs/node#21746) forgets the one that a worker had not taken yet when it died: its client would wait for ever.
 * Node hands them over with `send`, one at a time, so that a look at what passes there is enough.
 */
export class AssignedConnections {
  #count = 0
  #last: Connection | undefined

  /** @param onAssign called before each of them is handed over */
  constructor(worker: ChildProcess, onAssign: () => void) {
    const send = worker.send.bind(worker) as (...given: unknown[]) => boolean
    worker.send = (...given: unknown[]): boolean => {
      const [, handle] = given
      if (isConnection(handle)) {
        this.#count += 1
        this.#last = handle
        onAssign()
      }
      return send(...given)
    }
  }

  get count(): number {
    return this.#count
  }

  /** For a worker that has died: ends the connection that it may not have taken. To one that it took this is nothing. */
  closeLast(): void {
    this.#last?.close()
  }
}

function isConnection(value: unknown): value is Connection {
  return typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function'
}
