import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { FileFollower, type FollowOptions } from '@ipfleet/core/file-follower.ts'
import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import { KeysFileError, parseKeysFile } from './keys-file-format.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

interface KeysFileEvents {
  /** The file says something else now, and it makes sense. */
  changed: [keys: readonly ApiKey[]]
  /** It makes none; the keys stay as they were. */
  bad: [fault: string]
}

/** KEYS_FILE, which may be edited or replaced while the replica runs. */
export class KeysFile extends EventEmitter<KeysFileEvents> {
  readonly #path: string
  readonly #follower: FileFollower
  #text: string
  #keys: readonly ApiKey[]
  #fault: string | undefined

  /** @throws KeysFileError when it cannot be read or makes no sense: without keys there is nothing to go on with. */
  constructor(path: string) {
    super()
    this.#path = resolve(path)
    this.#follower = new FileFollower(this.#path, () => this.#read())
    this.#follower.markSeen()
    const { text, keys } = readKeysFile(path)
    this.#text = text
    this.#keys = keys
  }

  get keys(): readonly ApiKey[] {
    return this.#keys
  }

  /** Looks for changes from now on. */
  follow(options?: FollowOptions): void {
    this.#follower.start(options)
  }

  close(): void {
    this.#follower.close()
    this.removeAllListeners()
  }

  async #read(): Promise<void> {
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
      // Said once for each fault.
      if (fault === this.#fault) return
      this.#fault = fault
      this.emit('bad', fault)
    }
  }
}

/** @throws KeysFileError that names the file and says why it cannot be used */
export function readKeysFile(path: string): { readonly text: string; readonly keys: readonly ApiKey[] } {
  try {
    const text = readFileSync(resolve(path), 'utf8')
    return { text, keys: parseKeysFile(text) }
  } catch (error) {
    throw new KeysFileError(`${path} ${reasonOf(error)}`, { cause: error })
  }
}

/** An error of the file system is told by its code alone. */
function reasonOf(error: unknown): string {
  if (error instanceof KeysFileError) return error.message
  return `cannot be read (${errorCode(error) ?? 'unknown'})`
}
