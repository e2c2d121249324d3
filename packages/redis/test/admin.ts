import type { Redis } from 'ioredis'
import { connect } from '../src/connection.ts'

/** A connection for a test's own orders to its server: it waits for as long as the server needs. */
export async function connectAdmin(url: string): Promise<Redis> {
  const admin = connect({ url }, 'admin', { enableOfflineQueue: true, commandTimeout: 15_000, socketTimeout: 15_000 })
  await admin.ping()
  return admin
}

/** Occupies the server with a script that never ends, so that it answers BUSY to everyone. Resolves when it does. */
export async function makeBusy(admin: Redis, worker: Redis): Promise<{ end: () => Promise<void> }> {
  await admin.config('SET', 'busy-reply-threshold', '20')
  const ended = worker.eval('while true do end', 0).catch(() => {})
  for (;;) {
    try {
      await admin.ping()
    } catch {
      break
    }
  }
  return {
    end: async () => {
      await admin.script('KILL')
      await ended
    },
  }
}
