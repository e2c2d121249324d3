import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** How Compose is called here: `docker compose`, or `docker-compose` of version 1. */
export type ComposeCommand = readonly [program: string, ...args: string[]]

export interface ComposeEngine {
  readonly command: ComposeCommand
}

/** What docker-compose.yml and its Dockerfile begin with. */
const images = ['node:26-bookworm-slim', 'redis:8-alpine', 'prom/prometheus:v3.5.0']

const commands: readonly ComposeCommand[] = [['docker', 'compose'], ['docker-compose']]

const answerTimeoutMs = 30_000
const pullTimeoutMs = 120_000

/** The engine of this machine with all images that are needed, or why there is none, as a sentence. */
export async function findComposeEngine(): Promise<ComposeEngine | string> {
  if (!(await succeeds('docker', ['info'], answerTimeoutMs))) return 'no Docker engine answers'
  const command = await composeCommand()
  if (command === undefined) return 'neither docker compose nor docker-compose is installed'
  for (const image of images) {
    const isThere =
      (await succeeds('docker', ['image', 'inspect', image], answerTimeoutMs)) ||
      (await succeeds('docker', ['pull', '--quiet', image], pullTimeoutMs))
    if (!isThere) return `the Docker engine has no image ${image} and cannot get it`
  }
  return { command }
}

async function composeCommand(): Promise<ComposeCommand | undefined> {
  for (const command of commands) {
    const [program, ...args] = command
    if (await succeeds(program, [...args, 'version'], answerTimeoutMs)) return command
  }
  return undefined
}

async function succeeds(program: string, args: readonly string[], timeout: number): Promise<boolean> {
  try {
    await execute(program, args, { timeout })
    return true
  } catch {
    return false
  }
}
