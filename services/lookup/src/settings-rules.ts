import { openOfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import { readKeysFile } from './keys/keys-file.ts'
import type { LookupSettings } from './settings.ts'

/** What no setting can say by itself: whether the files that settings name can be used. */
export const settingsRules: readonly Rule<LookupSettings>[] = [
  { about: ['KEYS_FILE'], fault: ({ KEYS_FILE: path }) => reasonNot(path, readKeysFile) },
  {
    about: ['OFFLINE_DB'],
    fault: ({ OFFLINE_DB: path }) => reasonNot(path, (file) => openOfflineDb({ path: file })),
    // The bundled database answers until the file comes.
    onlyChecked: true,
  },
]

function reasonNot(path: string | undefined, read: (path: string) => unknown): string | undefined {
  if (path === undefined) return undefined
  try {
    read(path)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
