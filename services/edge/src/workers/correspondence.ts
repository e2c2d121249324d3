export interface Question {
  readonly kind: 'question'
  readonly id: number
  readonly topic: string
  readonly ask: unknown
}

export interface Answer {
  readonly kind: 'answer'
  /** That of the question. */
  readonly id: number
  /** Undefined: there is none. */
  readonly answer: unknown
}

/** Topics that one end can ask the other about: what is asked, and what is answered. */
export type Topics = Readonly<Record<string, { readonly ask: unknown; readonly answer: unknown }>>

export type Answerers<T extends Topics> = {
  readonly [K in keyof T]: (ask: T[K]['ask']) => T[K]['answer'] | Promise<T[K]['answer']>
}

/** Questions and answers over a channel that keeps their order, both ways. */
export class Correspondence<Asked extends Topics, Answered extends Topics> {
  readonly #send: (letter: Question | Answer) => void
  readonly #answerers: ReadonlyMap<string, (ask: unknown) => unknown>
  readonly #unanswered = new Map<number, (answer: unknown) => void>()
  #lastId = 0
  #closed = false

  constructor(send: (letter: Question | Answer) => void, answerers: Answerers<Answered>) {
    this.#send = send
    this.#answerers = new Map(Object.entries(answerers))
  }

  /** Undefined when the other end could not answer, or is gone. Waits without a limit: see `within`. */
  ask<T extends keyof Asked & string>(topic: T, ask: Asked[T]['ask']): Promise<Asked[T]['answer'] | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    const id = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#unanswered.set(id, resolve)
    this.#send({ kind: 'question', id, topic, ask })
    return promise
  }

  receive(letter: Question | Answer): void {
    if (letter.kind === 'question') return void this.#answer(letter)
    this.#unanswered.get(letter.id)?.(letter.answer)
    this.#unanswered.delete(letter.id)
  }

  /** The other end is gone. */
  close(): void {
    this.#closed = true
    for (const resolve of this.#unanswered.values()) resolve(undefined)
    this.#unanswered.clear()
  }

  async #answer({ id, topic, ask }: Question): Promise<void> {
    let answer: unknown
    try {
      answer = await this.#answerers.get(topic)?.(ask)
    } catch {
      // Who asked is told that there is no answer, and decides what that means.
    }
    if (!this.#closed) this.#send({ kind: 'answer', id, answer })
  }
}
