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
  /** Which of the file's keys are meant. */
  readonly isOurs: (key: ApiKey) => boolean
}

/** The keys that are configured, of the setting and of the file, as long as the replica runs. */
export class KeySource {
  readonly #options: KeySourceOptions
  readonly #file: KeysFile | undefined
  readonly #logger: Logger

  /** @throws KeysFileError when there is a file and it cannot be used */
  constructor(options: KeySourceOptions, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#file = options.path === undefined ? undefined : new KeysFile(options.path)
    this.#hide(this.#file?.keys ?? [])
  }

  get keys(): readonly ApiKey[] {
    const { listed, isOurs } = this.#options
    return unionOf(listed, (this.#file?.keys ?? []).filter(isOurs))
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
