import { type FSWatcher, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

export interface FollowOptions {
  /** Watching tells of a change at once where the file system does (not on every network mount); looking always does. */
  readonly lookEveryMs?: number
}

/** A file that is still being written looks different from one look to the next. */
const settleMs = 100

/**
 * Calls back when another file stands at a path and is no longer being written. The directory is watched rather than
 * the file: most programs put a new file in the old one's place, and Kubernetes a link.
 */
export class FileFollower {
  readonly #path: string
  readonly #onChange: () => Promise<void>
  #watcher: FSWatcher | undefined
  #looking: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined
  /** What the file looked like when it was last given to the callback. */
  #seen: string | undefined
  /** What it looked like at the last look. */
  #last: string | undefined
  #busy = false
  #closed = false

  constructor(path: string, onChange: () => Promise<void>) {
    this.#path = path
    this.#onChange = onChange
  }

  /** What is there now is known, and no change. */
  markSeen(): void {
    this.#seen = looksOf(this.#path)
    this.#last = this.#seen
  }

  start({ lookEveryMs = 5000 }: FollowOptions = {}): void {
    this.#looking = setInterval(() => this.#lookSoon(), lookEveryMs).unref()
    try {
      this.#watcher = watch(dirname(this.#path), { persistent: false }, () => this.#lookSoon())
      // The directory is gone, or the system has no watches left.
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // Looking again has to do.
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#looking)
    clearTimeout(this.#soon)
    this.#watcher?.close()
  }

  /** One look after the first sign and one a moment later: in between come many signs of one change. */
  #lookSoon(): void {
    if (this.#closed) return
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      this.#look()
    }, settleMs).unref()
  }

  #look(): void {
    if (this.#busy) return
    const looks = looksOf(this.#path)
    const isSettled = looks === this.#last
    this.#last = looks
    if (looks === this.#seen) return
    if (isSettled) void this.#tell(looks)
    else this.#lookSoon()
  }

  async #tell(looks: string): Promise<void> {
    this.#seen = looks
    this.#busy = true
    try {
      await this.#onChange()
    } finally {
      this.#busy = false
      // It may have changed meanwhile.
      this.#lookSoon()
    }
  }
}

/** Which file it is and what was last done to it; a file that is not there looks like none. */
export function looksOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true })
    return [dev, ino, size, mtimeNs].join(' ')
  } catch {
    return 'none'
  }
}
