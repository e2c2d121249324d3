import { FollowedOfflineDb } from '@ipfleet/offline/followed-offline-db.ts'
import { bundledOfflineDb, type OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'

/** Where answers come from when no upstream is asked: the bundled database, or the operator's own as far as they are good. */
export interface OfflineSource {
  /** Always answers from the newest databases that could be read. */
  readonly db: OfflineDb
  /** Looks for newer ones from now on. */
  follow(): void
  close(): void
}

/** @param paths OFFLINE_DB. One that cannot be read now is an error in the log, and may still come. */
export function offlineSource(paths: readonly string[], logger: Logger): OfflineSource {
  const bundled = bundledOfflineDb()
  if (paths.length === 0) return { db: bundled, follow: () => {}, close: () => {} }
  const db = new FollowedOfflineDb(paths, bundled)
  db.on('opened', ({ type, builtAt }) => logger.info({ type, built: builtAt.toISOString() }, 'OFFLINE_DB opened'))
  db.on('bad', (error) => {
    const reason = error.message
    logger.error({ reason, serving: db.type }, 'OFFLINE_DB cannot be used; the database before it stays')
  })
  db.openNow()
  return { db, follow: () => db.follow(), close: () => db.close() }
}
