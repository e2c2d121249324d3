import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { FileFollower } from '@ipfleet/core/file-follower.ts'
import { type OfflineDb, openOfflineDb, readOfflineDb } from './offline-db.ts'
import type { LegacyRecord, LiteRecord } from './offline-record.ts'

interface FollowedOfflineDbEvents {
  /** Answers come from this one now. */
  opened: [db: OfflineDb]
  /** The file is there and no good, or it is gone. Said once until it changes; the database before it stays. */
  bad: [error: Error]
}

/**
 * A database whose file may be replaced while others ask it. A new one takes over when it is whole and open, between
 * two questions; until there is one, `before` answers.
 */
export class FollowedOfflineDb extends EventEmitter<FollowedOfflineDbEvents> implements OfflineDb {
  readonly #path: string
  readonly #follower: FileFollower
  #current: OfflineDb

  constructor(path: string, before: OfflineDb) {
    super()
    this.#path = resolve(path)
    this.#current = before
    this.#follower = new FileFollower(this.#path, () => this.#open())
  }

  get type(): string {
    return this.#current.type
  }

  get builtAt(): Date {
    return this.#current.builtAt
  }

  lookup(address: string): LegacyRecord | undefined {
    return this.#current.lookup(address)
  }

  liteRecord(address: string): LiteRecord | undefined {
    return this.#current.liteRecord(address)
  }

  /** At start, when there is nobody to keep waiting. */
  openNow(): void {
    this.#follower.markSeen()
    try {
      this.#use(openOfflineDb({ path: this.#path }))
    } catch (error) {
      this.emit('bad', asError(error))
    }
  }

  follow(options: { readonly lookEveryMs?: number } = {}): void {
    this.#follower.start(options)
  }

  close(): void {
    this.#follower.close()
    this.removeAllListeners()
  }

  async #open(): Promise<void> {
    try {
      this.#use(await readOfflineDb(this.#path))
    } catch (error) {
      this.emit('bad', asError(error))
    }
  }

  #use(db: OfflineDb): void {
    this.#current = db
    this.emit('opened', db)
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
