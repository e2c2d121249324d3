import { EventEmitter } from 'node:events'
import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import { KeysFileError, parseKeysFile } from './keys-file-format.ts'

export interface KeysFileOptions {
  /** Watching tells of a change at once where the file system does; looking again always does. */
  readonly lookEveryMs?: number
}

interface KeysFileEvents {
  /** The file says something else now, and it makes sense. */
  changed: [keys: readonly ApiKey[]]
  /** It makes none; the keys stay as they were. */
  bad: [fault: string]
}

/** Editors write in several steps; what is read half-way is read again when they are done. */
const debounceMs = 50

/**
 * KEYS_FILE, which may be edited or replaced while the replica runs. The directory is watched rather than the file:
 * editors, and Kubernetes with its links, put another file in its place.
 */
export class KeysFile extends EventEmitter<KeysFileEvents> {
  readonly #path: string
  #text: string
  #watcher: FSWatcher | undefined
  #looking: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined
  #keys: readonly ApiKey[]
  #fault: string | undefined

  /** @throws KeysFileError when it cannot be read or makes no sense: without keys there is nothing to go on with. */
  constructor(path: string) {
    super()
    this.#path = resolve(path)
    try {
      this.#text = readFileSync(this.#path, 'utf8')
      this.#keys = parseKeysFile(this.#text)
    } catch (error) {
      throw new KeysFileError(`KEYS_FILE ${path}: ${reasonOf(error)}`, { cause: error })
    }
  }

  get keys(): readonly ApiKey[] {
    return this.#keys
  }

  /** Looks for changes from now on. */
  follow({ lookEveryMs = 5000 }: KeysFileOptions = {}): void {
    this.#looking = setInterval(() => void this.#look(), lookEveryMs).unref()
    try {
      this.#watcher = watch(dirname(this.#path), { persistent: false }, () => this.#lookSoon())
      // The directory is gone, or the system has no watches left.
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // Looking again has to do.
    }
  }

  close(): void {
    clearInterval(this.#looking)
    clearTimeout(this.#soon)
    this.#watcher?.close()
    this.removeAllListeners()
  }

  #lookSoon(): void {
    clearTimeout(this.#soon)
    this.#soon = setTimeout(() => void this.#look(), debounceMs).unref()
  }

  async #look(): Promise<void> {
    try {
      const text = await readFile(this.#path, 'utf8')
      if (text === this.#text && this.#fault === undefined) return
      const keys = parseKeysFile(text)
      this.#fault = undefined
      if (text === this.#text) return
      this.#text = text
      this.#keys = keys
      this.emit('changed', keys)
    } catch (error) {
      const fault = reasonOf(error)
      // Said once, not at every look.
      if (fault === this.#fault) return
      this.#fault = fault
      this.emit('bad', fault)
    }
  }
}

/** An error of the file system is told by its code alone. */
function reasonOf(error: unknown): string {
  if (error instanceof KeysFileError) return error.message
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown'
  return `cannot be read (${code})`
}
