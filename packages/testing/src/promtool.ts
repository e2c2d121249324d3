import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

const image = 'prom/prometheus:v3.5.0'

/** Runs promtool in a folder. @returns what it wrote @throws with what it wrote, when it finds fault */
export type Promtool = (folder: string, args: readonly string[]) => Promise<string>

/** promtool from the PATH or from Prometheus' image; or why there is none and how to get it, as a sentence. */
export async function findPromtool(): Promise<Promtool | string> {
  if (await works('promtool', ['--version'])) return onPath
  if (await works('docker', ['image', 'inspect', image])) return inContainer
  return `promtool is not on the PATH (Debian's package prometheus has it), and no Docker engine has the image ${image}`
}

async function onPath(folder: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execute('promtool', args, { cwd: folder })
  return stdout
}

async function inContainer(folder: string, args: readonly string[]): Promise<string> {
  const mounted = ['--volume', `${folder}:/folder:ro`, '--workdir', '/folder', '--network', 'none']
  const { stdout } = await execute('docker', ['run', '--rm', ...mounted, '--entrypoint', 'promtool', image, ...args])
  return stdout
}

async function works(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await execute(program, args, { timeout: 30_000 })
    return true
  } catch {
    return false
  }
}
