import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { ComposeEngine } from './compose-engine.ts'
import { atDeathRun } from './service-process-guard.ts'
import { temporaryFolder } from './service-process-folder.ts'

const execute = promisify(execFile)

export interface Container {
  readonly id: string
  readonly service: string
  /** As `docker ps` says: `Up 3 seconds (healthy)`. */
  readonly status: string
}

/** What a project has on the engine, by name or id. */
export interface Leavings {
  readonly containers: readonly string[]
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
}

export interface ComposeProjectOptions {
  /** Added to PATH and HOME, which is all that Compose gets of this process's environment. */
  readonly env: Readonly<Record<string, string>>
}

/** docker-compose.yml under a name of its own, so that it has nothing to do with a fleet that runs here already. */
export interface ComposeProject {
  /** `compose(['up', '--detach'])`. @returns what it wrote to stdout @throws with the end of that */
  compose(args: readonly string[], timeoutMs?: number): Promise<string>
  /** `docker` on this engine. */
  docker(args: readonly string[]): Promise<string>
  /** All containers, those that have ended too. */
  containers(service?: string): Promise<Container[]>
  /** Runs JavaScript in the container of a service that has Node. @returns what it wrote */
  node(service: string, script: string): Promise<string>
  leavings(): Promise<Leavings>
  /** Removes whatever is left, by force. */
  destroy(): Promise<void>
}

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const defaultTimeoutMs = 120_000

/** Nothing is started yet. If this process dies, what the project has by then is removed. */
export async function composeProject(
  { command: [program, ...programArgs] }: ComposeEngine,
  { env }: ComposeProjectOptions,
): Promise<ComposeProject> {
  const name = `ipfleet-test-${process.pid}-${Date.now().toString(36)}`
  const label = `label=com.docker.compose.project=${name}`
  const disarm = atDeathRun(removalOf(label))
  const folder = await temporaryFolder('compose')
  // In place of the .env that the working tree may have.
  const envFile = join(folder.path, 'empty.env')
  await writeFile(envFile, '')

  const run = async (file: string, args: readonly string[], timeout: number): Promise<string> => {
    const options = {
      cwd: repository,
      env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...env },
      timeout,
      maxBuffer: 64 * 1024 * 1024,
    }
    try {
      return (await execute(file, args, options)).stdout
    } catch (error) {
      // What a build wrote before it failed is on stdout, which the error's message leaves out.
      const written = error instanceof Error && 'stdout' in error ? String(error.stdout).slice(-8192) : ''
      throw new Error(`${file} ${args.join(' ')} failed:\n${written}`, { cause: error })
    }
  }
  const docker = (args: readonly string[]): Promise<string> => run('docker', args, defaultTimeoutMs)
  const linesOf = async (args: readonly string[]): Promise<string[]> => (await docker(args)).split('\n').filter(Boolean)
  const containers = async (service?: string): Promise<Container[]> => {
    const format = '{{.ID}}\t{{.Label "com.docker.compose.service"}}\t{{.Status}}'
    const lines = await linesOf(['ps', '--all', '--filter', label, '--format', format])
    const all = lines
      .map((line) => line.split('\t'))
      .map(([id = '', of = '', status = '']) => ({ id, service: of, status }))
    return service === undefined ? all : all.filter((one) => one.service === service)
  }
  return {
    compose: (args, timeoutMs = defaultTimeoutMs) =>
      run(program, [...programArgs, '--env-file', envFile, '--project-name', name, ...args], timeoutMs),
    docker,
    containers,
    node: async (service, script) => {
      const [container] = await containers(service)
      return docker(['exec', container?.id ?? service, 'node', '--eval', script])
    },
    leavings: async () => ({
      containers: await linesOf(['ps', '--all', '--quiet', '--filter', label]),
      networks: await linesOf(['network', 'ls', '--quiet', '--filter', label]),
      volumes: await linesOf(['volume', 'ls', '--quiet', '--filter', label]),
    }),
    destroy: async () => {
      await run('sh', ['-c', removalOf(label)], defaultTimeoutMs)
      disarm()
      await folder.remove()
    },
  }
}

/** One line of shell. Networks and volumes can go only when no container has them. */
function removalOf(label: string): string {
  const removed = (list: string, remove: string): string =>
    `docker ${list} -q --filter ${label} | xargs -r docker ${remove}`
  return [
    removed('ps -a', 'rm --force --volumes'),
    removed('network ls', 'network rm'),
    removed('volume ls', 'volume rm --force'),
  ].join('; ')
}
