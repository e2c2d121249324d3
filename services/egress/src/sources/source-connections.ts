import type { Socket } from 'node:net'
import { Counts } from '@ipfleet/core/counts.ts'
import { UnorderedList } from '@ipfleet/core/unordered-list.ts'
import type { Source, SourceCheck } from './source-pool.ts'

/**
 * Ends a connection whose source address has left the machine. It has the code of a `bind` that fails for the same
 * reason, so that a connection still being made counts as one that could not be bound.
 */
export class SourceLost extends Error {
  override readonly name = 'SourceLost'
  readonly code = 'EADDRNOTAVAIL'
  readonly syscall = 'bind'

  constructor() {
    super('the source address is gone')
  }
}

/**
 * The open connections of each source address. Linux keeps a TCP connection after its local address has been removed:
 * no packet of the peer arrives any more, so it would hang until a timeout.
 */
export class SourceConnections {
  readonly #byAddress = new Map<string, AddressConnections>()
  /** Whether this machine lacks the address of a source. */
  readonly isGone: (source: Source) => Promise<boolean>

  /** `check` asks no more than whether an address can be bound. */
  constructor(check: SourceCheck) {
    this.isGone = async (source) => (await check(source, never)).kind === 'not_ours'
  }

  /** Follows a socket of the source until it closes: one that is bound, from before it connects. */
  add(source: Source, socket: SourceSocket): void {
    const { address } = source
    const begin = (): AddressConnections => new AddressConnections(source, () => this.#byAddress.delete(address))
    this.#byAddress.getOrInsertComputed(address, begin).add(socket)
  }

  /** How many there are from what each item of IP_POOL lists. */
  counts(): Counts {
    const counts = new Counts()
    for (const { source, size } of this.#byAddress.values()) counts.add(source.listedAs, size)
    return counts
  }

  /**
   * Ends all connections of a pool entry that this machine lacks. Of a prefix only one address was found missing, so
   * each address with connections is checked.
   */
  end(id: string): void {
    this.#byAddress.get(id)?.end()
    for (const connections of this.#byAddress.values()) {
      const { source } = connections
      if (source.listedAs !== id || source.address === id) continue
      void this.isGone(source).then((isGone) => isGone && connections.end())
    }
  }
}

const never = new AbortController().signal

/** A property in place of a closure for each socket: an idle tunnel should stay small. */
const connectionsOf = Symbol('connections of the source')

const sourcePlace = Symbol('place among the connections of the source')

type SourceSocket = Socket & { [connectionsOf]?: AddressConnections }

class AddressConnections {
  readonly source: Source
  readonly #sockets = new UnorderedList<SourceSocket>(sourcePlace)
  readonly #onEmpty: () => void

  constructor(source: Source, onEmpty: () => void) {
    this.source = source
    this.#onEmpty = onEmpty
  }

  get size(): number {
    return this.#sockets.size
  }

  add(socket: SourceSocket): void {
    this.#sockets.add(socket)
    socket[connectionsOf] = this
    socket.on('close', onClose)
  }

  delete(socket: SourceSocket): void {
    this.#sockets.delete(socket)
    if (this.#sockets.size === 0) this.#onEmpty()
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy(new SourceLost())
  }
}

function onClose(this: SourceSocket): void {
  this[connectionsOf]?.delete(this)
}
