import type { Socket } from 'node:net'

/** Modes in which a connection stays open; `FaultyTcpProxyMode` says what they mean. */
export type LinkMode = 'pass' | 'blackhole' | 'half' | { readonly delayMs: number }

/** One connection through the proxy: the client's socket, the target's, and what gets lost between them. */
export class FaultyLink {
  readonly #client: Socket
  readonly #target: Socket
  readonly #questions: Direction
  readonly #answers: Direction

  constructor(client: Socket, target: Socket, mode: LinkMode) {
    this.#client = client
    this.#target = target
    this.#questions = new Direction(client, target)
    this.#answers = new Direction(target, client)
    this.setMode(mode)
    // The death of one side is news to the other, unless the link has lost it.
    client.on('error', () => client.destroy())
    target.on('error', () => target.destroy())
    client.once('close', () => target.destroy())
    target.once('close', () => {
      if (!this.#answers.isMute()) client.resetAndDestroy()
    })
  }

  setMode(mode: LinkMode): void {
    this.#questions.set(mode === 'blackhole', delayOf(mode))
    this.#answers.set(mode === 'blackhole' || mode === 'half', delayOf(mode))
  }

  reset(): void {
    this.#client.resetAndDestroy()
    this.#target.destroy()
  }

  destroy(): void {
    this.#client.destroy()
    this.#target.destroy()
  }
}

/** Bytes from one socket to the other. Once it has swallowed something it is mute for good. */
class Direction {
  readonly #from: Socket
  readonly #to: Socket
  readonly #late: { readonly chunk: Buffer | 'end'; readonly dueMs: number }[] = []
  #swallows = false
  #hasLost = false
  #delayMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    from.on('end', () => this.#take('end'))
    to.on('drain', () => from.resume())
    to.once('close', () => clearTimeout(this.#timer))
  }

  set(swallows: boolean, delayMs: number): void {
    this.#swallows = swallows
    this.#delayMs = delayMs
  }

  isMute(): boolean {
    return this.#swallows || this.#hasLost
  }

  #take(chunk: Buffer | 'end'): void {
    if (this.isMute()) this.#hasLost = true
    else if (this.#delayMs > 0 || this.#late.length > 0) this.#postpone(chunk)
    else this.#deliver(chunk)
  }

  #postpone(chunk: Buffer | 'end'): void {
    this.#late.push({ chunk, dueMs: performance.now() + this.#delayMs })
    if (this.#late.length === 1) this.#wait()
  }

  #wait(): void {
    const next = this.#late[0]
    if (next === undefined) return
    this.#timer = setTimeout(
      () => {
        this.#late.shift()
        if (this.isMute()) this.#hasLost = true
        else this.#deliver(next.chunk)
        this.#wait()
      },
      Math.max(0, next.dueMs - performance.now()),
    )
  }

  #deliver(chunk: Buffer | 'end'): void {
    if (!this.#to.writable) return
    if (chunk === 'end') this.#to.end()
    else if (!this.#to.write(chunk)) this.#from.pause()
  }
}

function delayOf(mode: LinkMode): number {
  return typeof mode === 'object' ? mode.delayMs : 0
}
