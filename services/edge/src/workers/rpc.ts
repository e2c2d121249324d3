export interface RpcRequest {
  readonly kind: 'request'
  readonly id: number
  readonly method: string
  readonly params: unknown
}

export interface RpcResponse {
  readonly kind: 'response'
  /** That of the request. */
  readonly id: number
  /** Undefined: there is none. */
  readonly result: unknown
}

/** What one end can call at the other: what is given, and what comes back. */
export type RpcMethods = Readonly<Record<string, { readonly params: unknown; readonly result: unknown }>>

export type RpcHandlers<T extends RpcMethods> = {
  readonly [K in keyof T]: (params: T[K]['params']) => T[K]['result'] | Promise<T[K]['result']>
}

/** Requests and responses over a channel that keeps their order, both ways. */
export class Rpc<Called extends RpcMethods, Handled extends RpcMethods> {
  readonly #send: (message: RpcRequest | RpcResponse) => void
  readonly #handlers: ReadonlyMap<string, (params: unknown) => unknown>
  readonly #pending = new Map<number, (result: unknown) => void>()
  #lastId = 0
  #closed = false

  constructor(send: (message: RpcRequest | RpcResponse) => void, handlers: RpcHandlers<Handled>) {
    this.#send = send
    this.#handlers = new Map(Object.entries(handlers))
  }

  /** Undefined when the other end could not answer, or is gone. Waits without a limit. */
  call<T extends keyof Called & string>(
    method: T,
    params: Called[T]['params'],
  ): Promise<Called[T]['result'] | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    const id = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#pending.set(id, resolve)
    this.#send({ kind: 'request', id, method, params })
    return promise
  }

  receive(message: RpcRequest | RpcResponse): void {
    if (message.kind === 'request') return void this.#handle(message)
    this.#pending.get(message.id)?.(message.result)
    this.#pending.delete(message.id)
  }

  /** The other end is gone. */
  close(): void {
    this.#closed = true
    for (const resolve of this.#pending.values()) resolve(undefined)
    this.#pending.clear()
  }

  async #handle({ id, method, params }: RpcRequest): Promise<void> {
    let result: unknown
    try {
      result = await this.#handlers.get(method)?.(params)
    } catch {
      // The caller is told that there is no result, and decides what that means.
    }
    if (!this.#closed) this.#send({ kind: 'response', id, result })
  }
}
