import { openMmdb } from '@ipfleet/offline/offline-db.ts'
import { isHttpToHere } from '@ipfleet/offline/renewal/database-download.ts'
import { integer, path, secret, textualList } from '@ipfleet/settings/kinds.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import { grouped, type SettingsOf } from '@ipfleet/settings/setting.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { reasonNot } from '../operations/reason-not.ts'
import { textFields } from '../query/record-view.ts'

/** Https, so that no server on the way can give another file or read the token. */
const downloaded = {
  optional: true,
  protocols: ['https:', 'http:'],
  without: ['credentials'],
  fromFile: true,
  fault: (given: URL): string | undefined => {
    if (given.protocol === 'http:' && !isHttpToHere(given)) return 'http is for this machine only; use https'
    const named = [...given.searchParams.keys()].find((name) => /token|key|secret|password|auth/i.test(name))
    return named && `a ${named} in it would be seen; set OFFLINE_DB_TOKEN, which is sent in a header`
  },
} as const

/** The embedded database, and those of the operator. */
export const offlineSettings = grouped('Offline data', {
  OFFLINE_DB: textualList({
    default: [],
    read: (file) => [file],
    allowed: 'a path',
    help:
      'MMDBs of your own in place of the bundled ones, also .gz, .tar.gz and .zip: of IPinfo, MaxMind, DB-IP, IP2Location. ' +
      'Where several know a fact, the first tells it. Swapped in when a file changes. Unset: the bundled ones, which ' +
      'know countries, AS numbers and names',
  }),
  OFFLINE_DB_URL: url({
    ...downloaded,
    help:
      'Where such a file is downloaded from, as it is offered, once a day if it has changed. It counts as the last of ' +
      'OFFLINE_DB, and is taken if it is whole and no older than the one before it. https, or http to this machine',
  }),
  OFFLINE_DB_TOKEN: secret({
    optional: true,
    help:
      'What the host of OFFLINE_DB_URL gets in Authorization: a token (Bearer), or user:password (Basic; MaxMind: ' +
      'account:licence key). No other host gets it',
  }),
  OFFLINE_DB_CHECKSUM_URL: url({
    ...downloaded,
    help: 'Where the SHA-256 of the file at OFFLINE_DB_URL stands, as sha256sum writes it or in JSON. A file with another is not taken',
  }),
  OFFLINE_DB_DIR: path({
    default: 'node_modules/.cache/offline-db',
    help:
      'Where what is downloaded is kept: from OFFLINE_DB_URL, and by `npm run offline-db -- city`. Of replicas that ' +
      'share it one downloads for all; else each does for itself. A directory that outlives them saves downloads',
  }),
  OFFLINE_DB_MAX_BYTES: integer({
    min: 1024,
    max: 2 ** 31,
    default: 2 ** 30,
    help: 'Most bytes of that file, as it comes and unpacked. It is held in memory, while it is replaced twice',
  }),
  EMBEDDED_EMPTY_FIELDS: textualList({
    default: [],
    read: (name) => (textFields.has(name) ? [name] : undefined),
    allowed: `one of ${[...textFields].join(', ')}`,
    help:
      'Fields of legacy records that the embedded database answers as empty texts where it does not know them, instead of ' +
      'leaving them out. For SDKs that fail without them: city,region,loc for Rust’s ipinfo 3.5',
  }),
})

type OfflineSettings = SettingsOf<typeof offlineSettings>

export const offlineRules: readonly Rule<OfflineSettings>[] = [
  {
    about: ['OFFLINE_DB'],
    fault: ({ OFFLINE_DB }) =>
      OFFLINE_DB.map((file) => reasonNot(file, openMmdb)).find((reason) => reason !== undefined),
    // The bundled database answers until the file comes.
    onlyChecked: true,
  },
  {
    about: ['OFFLINE_DB_TOKEN', 'OFFLINE_DB_URL'],
    fault: ({ OFFLINE_DB_TOKEN, OFFLINE_DB_URL }) => needlessWithout(OFFLINE_DB_URL, OFFLINE_DB_TOKEN),
  },
  {
    about: ['OFFLINE_DB_CHECKSUM_URL', 'OFFLINE_DB_URL'],
    fault: ({ OFFLINE_DB_CHECKSUM_URL, OFFLINE_DB_URL }) => needlessWithout(OFFLINE_DB_URL, OFFLINE_DB_CHECKSUM_URL),
  },
]

const needlessWithout = (source: string | undefined, given: string | undefined): string | undefined =>
  given !== undefined && source === undefined ? 'has no effect without OFFLINE_DB_URL' : undefined
