import type { Socket } from 'node:net'

/** Why a client did not come to the end of what opens its connection. */
export class OpeningFault extends Error {
  override readonly name = 'OpeningFault'
  readonly kind: 'left' | 'late' | 'too_large'

  constructor(kind: OpeningFault['kind']) {
    super(kind)
    this.kind = kind
  }
}

/** The first bytes of a connection, read before it is known who is to read it, within a time. */
export class Opening {
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  #held: Buffer = nothing
  #fault: OpeningFault | undefined
  #wake: (() => void) | undefined

  /** @param timeoutMs for all of it, until `release` */
  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket
    socket.on('readable', this.#onReadable).on('error', ignore).on('end', this.#onLeft).on('close', this.#onLeft)
    this.#timer = setTimeout(() => this.#fail('late'), timeoutMs)
    if (socket.destroyed) this.#fail('left')
  }

  /** Whether nothing has come that was not taken. */
  get isEmpty(): boolean {
    return this.#held.length === 0
  }

  /**
   * Waits until something is found in what has come.
   * @param find gives undefined while there is too little
   * @throws OpeningFault also when nothing is found in so many bytes
   */
  async until<Found>(find: (held: Buffer) => Found | undefined, maxBytes: number): Promise<Found> {
    for (;;) {
      const found = this.isEmpty ? undefined : find(this.#held)
      if (found !== undefined) return found
      if (this.#fault === undefined && this.#held.length >= maxBytes) this.#fail('too_large')
      if (this.#fault !== undefined) throw this.#fault
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** Takes so many bytes off what has come. */
  take(count: number): Buffer {
    const taken = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(count)
    return taken
  }

  /** Stops to read. @returns what has come and was not taken */
  release(): Buffer {
    clearTimeout(this.#timer)
    this.#socket
      .off('readable', this.#onReadable)
      .off('error', ignore)
      .off('end', this.#onLeft)
      .off('close', this.#onLeft)
    return this.take(this.#held.length)
  }

  readonly #onReadable = (): void => {
    const bytes: unknown = this.#socket.read()
    if (!Buffer.isBuffer(bytes)) return
    this.#held = this.isEmpty ? bytes : Buffer.concat([this.#held, bytes])
    this.#wake?.()
  }

  readonly #onLeft = (): void => this.#fail('left')

  #fail(kind: OpeningFault['kind']): void {
    this.#fault ??= new OpeningFault(kind)
    this.#wake?.()
  }
}

const nothing = Buffer.alloc(0)

function ignore(): void {}
