import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** With another version the manifests of the chart may be written in another form. */
const version = 'v3.22.0'

/** Runs Helm. @returns what it wrote on its standard output @throws with what it wrote when it fails */
export type Helm = (...args: readonly string[]) => Promise<string>

/** Helm, built from its Go module the first time, which takes minutes; or why there is none, as a sentence. */
export function findHelm(): Helm | string {
  const folder = join(homedir(), '.cache', 'ipfleet', `helm-${version}`)
  const program = join(folder, 'helm')
  if (!existsSync(program)) {
    try {
      const env = { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' }
      execFileSync('go', ['install', `helm.sh/helm/v3/cmd/helm@${version}`], { env, stdio: 'pipe' })
    } catch (error) {
      return `Helm ${version} cannot be built from its Go module, which takes Go 1.26 or newer: ${String(error)}`
    }
  }
  return async (...args) => {
    const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 2 ** 26 })
    return stdout
  }
}
