import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atDeathRun } from './service-process-guard.ts'

export interface TemporaryFolder {
  readonly path: string
  remove(): Promise<void>
}

/** A fresh empty directory, gone with this process at the latest. `purpose` becomes part of its name. */
export async function temporaryFolder(purpose: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), `ipfleet-${purpose}-`))
  const disarm = atDeathRun(`rm -rf '${path.replaceAll("'", String.raw`'\''`)}'`)
  return {
    path,
    remove: async () => {
      await rm(path, { recursive: true, force: true })
      disarm()
    },
  }
}
