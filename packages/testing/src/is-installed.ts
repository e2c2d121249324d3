import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { errorCode } from '@ipfleet/core/error-code.ts'

const run = promisify(execFile)

/**
 * Whether a program runs here. If not, it says what `consequence` that has, since tests are skipped for it, and which
 * package of Debian's brings the program: tests install nothing but Redis.
 */
export async function isInstalled(
  program: string,
  consequence: string,
  debianPackage: string = program,
): Promise<boolean> {
  try {
    await run(program, ['--version'])
    return true
  } catch (error) {
    // One that does not know the option is there all the same. Node's errors are no `Error` of Jest's own realm.
    if (errorCode(error) !== 'ENOENT') return true
    process.stderr.write(`No ${program} on this machine (Debian's package ${debianPackage}): ${consequence}\n`)
    return false
  }
}
