import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'

/** A Node on the PATH that is too old for this program; undefined, said once, where there is none. */
export const olderNode = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'node'))
  .find((node) => /^v(1\d|2[0-5])\./.test(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? ''))

if (olderNode === undefined) process.stderr.write('starts with an old Node are not tested: there is none on the PATH\n')
