import { FollowedOfflineDb } from '@ipfleet/offline/followed-offline-db.ts'
import { type OfflineDb, openOfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'

/** Where answers come from when no upstream is asked: the bundled database, or the operator's own as long as it is good. */
export interface OfflineSource {
  /** Always answers from the newest database that could be read. */
  readonly db: OfflineDb
  /** Looks for newer ones from now on. */
  follow(): void
  close(): void
}

/** @param path OFFLINE_DB. One that cannot be read now is an error in the log, and may still come. */
export function offlineSource(path: string | undefined, logger: Logger): OfflineSource {
  const bundled = openOfflineDb()
  if (path === undefined) return { db: bundled, follow: () => {}, close: () => {} }
  const db = new FollowedOfflineDb(path, bundled)
  db.on('opened', ({ type, builtAt }) => logger.info({ type, built: builtAt.toISOString() }, 'OFFLINE_DB opened'))
  db.on('bad', (error) => {
    const reason = error.message
    logger.error({ reason, serving: db.type }, 'OFFLINE_DB cannot be used; the database before it stays')
  })
  db.openNow()
  return { db, follow: () => db.follow(), close: () => db.close() }
}
