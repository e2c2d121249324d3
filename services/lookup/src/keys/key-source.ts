import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { unionOf } from './keys-file-format.ts'
import { KeysFile } from './keys-file.ts'

export interface KeySourceOptions {
  /** IPINFO_KEYS */
  readonly listed: readonly string[]
  /** KEYS_FILE */
  readonly path: string | undefined
  /** Which of the file's keys are meant. Default all. */
  readonly isOurs?: (key: ApiKey) => boolean
}

/** The keys that are configured, of the setting and of the file, as long as the replica runs. */
export class KeySource {
  readonly #listed: readonly string[]
  readonly #file: KeysFile | undefined
  readonly #logger: Logger
  readonly #isOurs: (key: ApiKey) => boolean

  /** @throws KeysFileError when there is a file and it cannot be used */
  constructor({ listed, path, isOurs = () => true }: KeySourceOptions, logger: Logger) {
    this.#listed = listed
    this.#isOurs = isOurs
    this.#logger = logger
    this.#file = path === undefined ? undefined : new KeysFile(path)
    this.#hide(this.#file?.keys ?? [])
  }

  get keys(): readonly ApiKey[] {
    return unionOf(this.#listed, (this.#file?.keys ?? []).filter(this.#isOurs))
  }

  /** From now on the pool has the keys that the file has. */
  follow(pool: KeyPool): void {
    pool.on('replaced', (added, removed) => {
      this.#logger.info({ added, removed, keys: pool.size }, 'keys changed')
    })
    this.#file?.on('changed', (keys) => {
      this.#hide(keys)
      pool.replace(this.keys)
    })
    this.#file?.on('bad', (fault) => {
      this.#logger.error({ fault }, 'KEYS_FILE cannot be used; the keys stay as they are')
    })
    this.#file?.follow()
  }

  close(): void {
    this.#file?.close()
  }

  /** Before any of them is used. */
  #hide(keys: readonly ApiKey[]): void {
    this.#logger.sink.addSecrets(keys.map(({ secret }) => secret))
  }
}
