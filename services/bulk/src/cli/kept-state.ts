import { removeState, type RunState, writeState } from './run-state.ts'

/** What a run leaves for the next one; kept only where there is a file to go on with. */
export class KeptState {
  readonly #output: string | undefined
  #state: RunState

  /** @param output the file beside which it is kept */
  constructor(output: string | undefined, state: RunState) {
    this.#output = output
    this.#state = state
  }

  get now(): RunState {
    return this.#state
  }

  /** Whether the same command again would go on. */
  get isKept(): boolean {
    return this.#output !== undefined
  }

  async keep(changes: Partial<RunState> = {}): Promise<void> {
    this.#state = { ...this.#state, ...changes }
    if (this.#output !== undefined) await writeState(this.#output, this.#state)
  }

  /** The job is no more; the next run hands the list over again. */
  async forgetJob(): Promise<void> {
    const { job: _job, uploadKey: _uploadKey, ...state } = this.#state
    this.#state = state
    await this.keep()
  }

  async forget(): Promise<void> {
    if (this.#output !== undefined) await removeState(this.#output)
  }
}
