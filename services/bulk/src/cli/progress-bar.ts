import type { Writable } from 'node:stream'
import { SingleBar } from 'cli-progress'

/** A bar on a terminal, with words behind it. */
export class ProgressBar {
  readonly #bar: SingleBar
  #isShown = false

  constructor(stream: Writable) {
    this.#bar = new SingleBar({
      stream,
      format: '{bar} {percentage}% {facts}',
      barsize: 24,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: false,
      clearOnComplete: true,
      fps: 10,
      // It would take Ctrl-C away from the command.
      gracefulExit: false,
    })
  }

  /** @param total undefined: not known, and the bar stays empty */
  show(done: number, total: number | undefined, facts: string): void {
    const most = Math.max(total ?? 0, done)
    if (!this.#isShown) this.#bar.start(most, done, { facts })
    this.#isShown = true
    this.#bar.setTotal(most)
    this.#bar.update(total === undefined ? 0 : done, { facts })
  }

  /** Takes it away, so that a line can be written. It comes back when it is shown again. */
  stop(): void {
    if (this.#isShown) this.#bar.stop()
    this.#isShown = false
  }
}
