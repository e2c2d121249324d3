import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { FileFollower, type FollowOptions } from '@ipfleet/core/file-follower.ts'
import type { Mmdb } from './mmdb.ts'
import { type OfflineDb, offlineDbOf, openMmdb, readMmdb } from './offline-db.ts'
import type { OfflineRecord, RecordShape } from './offline-record.ts'

interface FollowedOfflineDbEvents {
  /** This one answers from now on, beside the others that are good. */
  opened: [db: Pick<Mmdb, 'type' | 'builtAt'>]
  /** A file is unusable or missing. Emitted once until it changes; the database before it continues to answer. */
  bad: [error: Error]
}

/** A file, and the last of its contents that was good. */
interface Followed {
  readonly path: string
  /** That it is missing is no fault. */
  readonly isAwaited: boolean
  readonly follower: FileFollower
  db: Mmdb | undefined
}

/**
 * Databases whose files may be replaced at any time. A new one takes over when it is whole and open; until there is one,
 * `before` answers.
 */
export class FollowedOfflineDb extends EventEmitter<FollowedOfflineDbEvents> implements OfflineDb {
  readonly #files: readonly Followed[]
  #current: OfflineDb

  /**
   * @param paths where several files know a fact, the first of them tells it
   * @param awaited further ones, which may still be missing
   */
  constructor(paths: readonly string[], before: OfflineDb, awaited: readonly string[] = []) {
    super()
    this.#current = before
    this.#files = [...paths, ...awaited].map((path) => {
      const file: Followed = {
        path: resolve(path),
        isAwaited: awaited.includes(path),
        follower: new FileFollower(resolve(path), () => this.#open(file)),
        db: undefined,
      }
      return file
    })
  }

  get type(): string {
    return this.#current.type
  }

  get builtAt(): Date {
    return this.#current.builtAt
  }

  record(shape: RecordShape, address: string): OfflineRecord | undefined {
    return this.#current.record(shape, address)
  }

  /** At start, when blocking the process delays no request. */
  openNow(): void {
    for (const file of this.#files) {
      file.follower.markSeen()
      if (file.isAwaited && !existsSync(file.path)) continue
      try {
        this.#adopt(file, openMmdb(file.path))
      } catch (error) {
        this.emit('bad', error as Error)
      }
    }
  }

  follow(options: FollowOptions = {}): void {
    for (const { follower } of this.#files) follower.start(options)
  }

  close(): void {
    for (const { follower } of this.#files) follower.close()
    this.removeAllListeners()
  }

  async #open(file: Followed): Promise<void> {
    try {
      this.#adopt(file, await readMmdb(file.path))
    } catch (error) {
      this.emit('bad', error as Error)
    }
  }

  #adopt(file: Followed, db: Mmdb): void {
    file.db = db
    this.#current = offlineDbOf(this.#files.flatMap((one) => one.db ?? []))
    this.emit('opened', db)
  }
}
