import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { FileFollower, type FollowOptions } from '@ipfleet/core/file-follower.ts'
import { type OfflineDb, openOfflineDb, readOfflineDb } from './offline-db.ts'
import type { LegacyRecord, LiteRecord } from './offline-record.ts'

interface FollowedOfflineDbEvents {
  /** This one answers from now on. */
  opened: [db: OfflineDb]
  /** The file is unusable or missing. Emitted once until it changes; the database before it continues to answer. */
  bad: [error: Error]
}

/**
 * A database whose file may be replaced at any time. A new one takes over when it is whole and open; until there is one,
 * `before` answers.
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

  /** At start, when blocking the process delays no request. */
  openNow(): void {
    this.#follower.markSeen()
    try {
      this.#adopt(openOfflineDb({ path: this.#path }))
    } catch (error) {
      this.emit('bad', error as Error)
    }
  }

  follow(options: FollowOptions = {}): void {
    this.#follower.start(options)
  }

  close(): void {
    this.#follower.close()
    this.removeAllListeners()
  }

  async #open(): Promise<void> {
    try {
      this.#adopt(await readOfflineDb(this.#path))
    } catch (error) {
      this.emit('bad', error as Error)
    }
  }

  #adopt(db: OfflineDb): void {
    this.#current = db
    this.emit('opened', db)
  }
}
