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

/**
 * The first bytes of a connection, read before it is known who is to read it, within a time. It reads only while more is
 * waited for, and leaves the connection paused.
 */
export class Opening {
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  #held: Buffer = nothing
  #fault: OpeningFault | undefined
  #wake: (() => void) | undefined

  /** @param timeoutMs for all of it, until `release` */
  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket
    socket.on('data', this.#onData).on('error', ignore).on('end', this.#onLeft).on('close', this.#onLeft)
    this.#timer = setTimeout(() => this.#fail('late'), timeoutMs)
    if (socket.destroyed) this.#fail('left')
  }

  /** Whether nothing has come that was not taken. */
  get isEmpty(): boolean {
    return this.#held.length === 0
  }

  /**
   * Waits until something is found in what has come. A promise only if it is not there yet.
   * @param find gives undefined while there is too little
   * @throws OpeningFault also when nothing is found in so many bytes
   */
  until<Found>(find: (held: Buffer) => Found | undefined, maxBytes: number): Found | Promise<Found> {
    const found = this.#look(find, maxBytes)
    if (found !== undefined) return found
    return new Promise((resolve, reject) => {
      this.#wake = () => {
        try {
          const foundNow = this.#look(find, maxBytes)
          if (foundNow === undefined) return
          this.#wake = undefined
          resolve(foundNow)
        } catch (error) {
          reject(error)
        }
      }
      this.#socket.resume()
    })
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
      .off('data', this.#onData)
      .off('error', ignore)
      .off('end', this.#onLeft)
      .off('close', this.#onLeft)
      .pause()
    return this.#held
  }

  #look<Found>(find: (held: Buffer) => Found | undefined, maxBytes: number): Found | undefined {
    const found = this.isEmpty ? undefined : find(this.#held)
    if (found !== undefined) return found
    if (this.#held.length >= maxBytes) this.#fault ??= new OpeningFault('too_large')
    if (this.#fault !== undefined) throw this.#fault
    return undefined
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#held = this.isEmpty ? bytes : Buffer.concat([this.#held, bytes])
    this.#wake?.()
    if (this.#wake === undefined) this.#socket.pause()
  }

  readonly #onLeft = (): void => this.#fail('left')

  #fail(kind: OpeningFault['kind']): void {
    this.#fault ??= new OpeningFault(kind)
    this.#wake?.()
  }
}

const nothing = Buffer.alloc(0)

function ignore(): void {}
