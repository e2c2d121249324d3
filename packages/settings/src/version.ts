import { readFileSync } from 'node:fs'

/** The version of the whole repository, as its top-level package.json states it: `1.2.3`. Images hold that file too. */
export const version: string = versionIn(new URL('../../../package.json', import.meta.url))

function versionIn(manifest: URL): string {
  const read: unknown = JSON.parse(readFileSync(manifest, 'utf8'))
  return typeof read === 'object' && read !== null && 'version' in read ? String(read.version) : 'unknown'
}
