import { FollowedOfflineDb } from '@ipfleet/offline/followed-offline-db.ts'
import { cityFilesIn } from '@ipfleet/offline/city-database.ts'
import type { Mmdb } from '@ipfleet/offline/mmdb.ts'
import { bundledOfflineDb, type OfflineDb, openMmdb } from '@ipfleet/offline/offline-db.ts'
import { DatabaseRenewal, sourceIdOf } from '@ipfleet/offline/renewal/database-renewal.ts'
import { RedisRenewalTurns, turnsAlone } from '@ipfleet/offline/renewal/renewal-turns.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { LookupSettings } from '../settings.ts'

export interface OfflineSourceDeps {
  readonly logger: Logger
  /** What replicas share; undefined for one on its own. */
  readonly link: RedisLink | undefined
}

/** Where answers come from when no upstream is asked: the bundled database, or the operator's own as far as they are good. */
export class OfflineSource {
  /** Always answers from the newest databases that could be read. */
  readonly db: OfflineDb
  /** Why OFFLINE_DB_URL gave no newer file at the last try. */
  renewalProblem: string | undefined
  readonly #followed: FollowedOfflineDb | undefined
  readonly #renewal: DatabaseRenewal | undefined
  readonly #logger: Logger

  /** A file of OFFLINE_DB that cannot be read now is an error in the log, and may still come. */
  constructor(settings: LookupSettings, { logger, link }: OfflineSourceDeps) {
    this.#logger = logger
    this.#renewal = renewalOf(settings, link)
    const paths = settings.OFFLINE_DB
    const isOwn = paths.length > 0 || this.#renewal !== undefined
    const bundled = bundledOfflineDb(isOwn ? [] : this.#cities(settings.OFFLINE_DB_DIR))
    if (isOwn) {
      this.#followed = new FollowedOfflineDb(paths, bundled, this.#renewal ? [this.#renewal.path] : [])
      this.#logFollowed(this.#followed)
      this.#followed.openNow()
    }
    if (this.#renewal) this.#logRenewal(this.#renewal)
    this.db = this.#followed ?? bundled
  }

  /** Looks for newer ones from now on. */
  follow(): void {
    this.#followed?.follow()
    this.#renewal?.start()
  }

  async close(): Promise<void> {
    this.#followed?.close()
    await this.#renewal?.close()
  }

  /** What `npm run offline-db -- city` has fetched. */
  #cities(directory: string): readonly Mmdb[] {
    try {
      return cityFilesIn(directory).map((path) => openMmdb(path))
    } catch (error) {
      const { message: reason } = error as Error
      this.#logger.error({ reason }, 'the cities cannot be used; remove the file and fetch it again')
      return []
    }
  }

  #logFollowed(db: FollowedOfflineDb): void {
    db.on('opened', ({ type, builtAt }) =>
      this.#logger.info({ type, built: builtAt.toISOString() }, 'OFFLINE_DB opened'),
    )
    db.on('bad', (error) => {
      const reason = error.message
      this.#logger.error({ reason, serving: db.type }, 'OFFLINE_DB cannot be used; the database before it stays')
    })
  }

  #logRenewal(renewal: DatabaseRenewal): void {
    renewal.on('renewed', ({ type, builtAt }) => {
      this.renewalProblem = undefined
      this.#logger.info({ type, built: builtAt.toISOString() }, 'OFFLINE_DB_URL gave a newer database')
    })
    renewal.on('unchanged', () => {
      this.renewalProblem = undefined
      this.#logger.debug('OFFLINE_DB_URL has nothing newer')
    })
    renewal.on('failed', (reason) => {
      this.renewalProblem = reason
      this.#logger.error({ reason, serving: this.db.type }, 'OFFLINE_DB_URL gave no database; the one before it stays')
    })
  }
}

function renewalOf(settings: LookupSettings, link: RedisLink | undefined): DatabaseRenewal | undefined {
  if (settings.OFFLINE_DB_URL === undefined) return undefined
  const source = {
    url: settings.OFFLINE_DB_URL,
    token: settings.OFFLINE_DB_TOKEN,
    checksumUrl: settings.OFFLINE_DB_CHECKSUM_URL,
    maxBytes: settings.OFFLINE_DB_MAX_BYTES,
  }
  const turns = link ? new RedisRenewalTurns(link, sourceIdOf(source)) : turnsAlone
  return new DatabaseRenewal({ source, directory: settings.OFFLINE_DB_DIR, turns })
}
