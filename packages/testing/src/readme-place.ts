import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './service-process-folder.ts'
import { atDeathRun } from './service-process-guard.ts'

const execute = promisify(execFile)

export interface ReadmeCheckout {
  /** A copy of the repository as it is now, with nothing installed. */
  readonly folder: string
  /** That of somebody who has just logged in. */
  readonly env: Readonly<Record<string, string>>
  remove(): Promise<void>
}

/** Why `readmeCheckout` cannot be made and used here; undefined when it can. */
export async function checkoutObstacle(repository: string): Promise<string | undefined> {
  try {
    await execute('git', ['-C', repository, 'rev-parse', 'HEAD'])
  } catch {
    return 'this is no git working tree, so that there is nothing to check out'
  }
  try {
    await execute('npm', ['view', 'pnpm', 'version', '--prefer-offline'], { env: loginEnv(), timeout: 20_000 })
  } catch {
    return 'npm is missing or its registry cannot be reached, so that nothing can be installed'
  }
  return undefined
}

/** The repository's files, those that are not committed yet included, in an empty directory of their own. */
export async function readmeCheckout(repository: string): Promise<ReadmeCheckout> {
  const temporary = await temporaryFolder('readme')
  const folder = join(temporary.path, 'ipfleet')
  const tools = join(temporary.path, 'tools')
  await mkdir(tools)
  for (const file of await filesOf(repository)) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await cp(join(repository, file), join(folder, file), { recursive: true, verbatimSymlinks: true })
  }
  // In a terminal curl shows no progress for what fits on it; here it would.
  await writeFile(join(tools, '.curlrc'), 'silent\nshow-error\n')
  await composeOfOld(tools)
  const project = `ipfleet-readme-${process.pid}`
  const disarm = atDeathRun(composeRemoval(project))
  // Replicas are replaced, and nobody asks them then.
  const env = { ...loginEnv(tools), CURL_HOME: tools, COMPOSE_PROJECT_NAME: project, DRAIN_MS: '500' }
  const remove = async (): Promise<void> => {
    await execute('sh', ['-c', composeRemoval(project)])
    disarm()
    await temporary.remove()
  }
  return { folder, env, remove }
}

/** One line of shell. Nothing is left by then, unless a block has failed. */
function composeRemoval(project: string): string {
  const all = `-q --filter label=com.docker.compose.project=${project}`
  const removals = [
    `docker ps -a ${all} | xargs -r docker rm --force --volumes`,
    `docker network ls ${all} | xargs -r docker network rm`,
    `docker volume ls ${all} | xargs -r docker volume rm --force`,
  ]
  return `if docker info >/dev/null 2>&1; then ${removals.join('; ')}; fi`
}

async function filesOf(repository: string): Promise<readonly string[]> {
  const list = async (...words: readonly string[]): Promise<readonly string[]> => {
    const { stdout } = await execute('git', ['-C', repository, 'ls-files', '-z', ...words])
    return stdout.split('\0').filter((file) => file !== '')
  }
  const gone = new Set(await list('--deleted'))
  const files = await list('--cached', '--others', '--exclude-standard')
  return files.filter((file) => !gone.has(file))
}

/** As a new user has it: without the programs that this workspace has brought itself. */
function loginEnv(...first: readonly string[]): Record<string, string> {
  const usual = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  const { DOCKER_HOST, NPM_CONFIG_REGISTRY } = process.env
  return {
    PATH: [...first, ...usual].join(delimiter),
    HOME: homedir(),
    ...(DOCKER_HOST !== undefined && { DOCKER_HOST }),
    ...(NPM_CONFIG_REGISTRY !== undefined && { NPM_CONFIG_REGISTRY }),
  }
}

/** Where Compose is a program of its own (1.29), `docker compose` is made to call it. */
async function composeOfOld(tools: string): Promise<void> {
  const docker = join(tools, 'docker')
  try {
    await execute('docker', ['compose', 'version'])
  } catch {
    const script = `#!/bin/sh
if [ "$1" = compose ]; then shift; exec docker-compose "$@"; fi
PATH=\${PATH#*:} exec docker "$@"
`
    await writeFile(docker, script)
    await chmod(docker, 0o755)
  }
}
