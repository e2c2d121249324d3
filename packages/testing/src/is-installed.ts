import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whether a program runs here. If not, it is said what `otherwise` is then the case, since tests are skipped for it. */
export async function isInstalled(program: string, otherwise: string): Promise<boolean> {
  try {
    await run(program, ['--version'])
    return true
  } catch {
    process.stderr.write(`No ${program} on this machine: ${otherwise}\n`)
    return false
  }
}
