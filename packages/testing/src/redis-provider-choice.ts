import { homedir, tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { installDebianPackage } from './debian-package.ts'
import { dockerRedisProvider } from './redis-provider-docker.ts'
import { findRedisServer, localRedisProvider } from './redis-provider-local.ts'
import type { RedisProvider } from './redis-provider.ts'
import { spawnGuarded } from './service-process-child.ts'

/** `docker`: containers. `local`: a program on the PATH or, failing that, Debian's package. */
export type RedisProviderKind = 'docker' | 'local'

/** Forces a provider; jest's global setup sets it too, so that all test files of a run have the same. */
export const providerVariable = 'IPFLEET_TEST_REDIS'

/** What can be found out and done about Redis on this machine. Reasons are sentences for the final error. */
export interface RedisSources {
  /** Why containers cannot be used, or undefined. */
  docker(): Promise<string | undefined>
  /** The server program on the PATH. */
  program(): string | undefined
  /** Why Debian's package could not be installed, or undefined when it was. */
  install(): Promise<string | undefined>
}

/**
 * The first that works: containers, a program on the PATH (the other way round with `prefer: 'local'`), Debian's
 * package. `forced` leaves one kind only. Throws one error that names the three ways if none works.
 */
export async function chooseRedisProvider(
  forced: string | undefined,
  { sources = machine, prefer = 'docker' }: { sources?: RedisSources; prefer?: RedisProviderKind } = {},
): Promise<{ kind: RedisProviderKind; provider: RedisProvider }> {
  if (forced !== undefined && forced !== 'docker' && forced !== 'local') {
    throw new Error(`${providerVariable} is "${forced}"; allowed are docker and local`)
  }
  const local = (): string | undefined => (forced === 'docker' ? undefined : sources.program())
  const preferred = prefer === 'local' ? local() : undefined
  if (preferred !== undefined) return { kind: 'local', provider: localRedisProvider(preferred) }
  const noDocker = forced === 'local' ? 'not asked for' : await sources.docker()
  if (noDocker === undefined) return { kind: 'docker', provider: dockerRedisProvider }
  const program = local()
  if (program !== undefined) return { kind: 'local', provider: localRedisProvider(program) }
  const notInstalled = forced === 'docker' ? 'not asked for' : await sources.install()
  const installed = notInstalled === undefined ? sources.program() : undefined
  if (installed !== undefined) return { kind: 'local', provider: localRedisProvider(installed) }
  throw new Error(noRedisMessage(noDocker, notInstalled ?? 'the package brought no redis-server'))
}

/** What the environment forces. An empty variable forces nothing. */
export function forcedProvider(): string | undefined {
  return process.env[providerVariable] || undefined
}

let chosen: Promise<RedisProvider> | undefined

/** The test run's provider: chosen in global setup under jest, else here, once for the process. */
export function chosenRedisProvider(): Promise<RedisProvider> {
  chosen ??= choiceOfRun()
  return chosen
}

async function choiceOfRun(): Promise<RedisProvider> {
  const forced = forcedProvider()
  if (forced === 'docker') return dockerRedisProvider // global setup has tried it, or the user insists
  const { provider } = await chooseRedisProvider(forced)
  return provider
}

function noRedisMessage(noDocker: string, notInstalled: string): string {
  return [
    'The tests need a real Redis, and there are three ways to give them one:',
    `  1. a Docker engine that has or can get the image redis:8-alpine (${noDocker})`,
    '  2. redis-server or valkey-server on the PATH (neither is there)',
    `  3. Debian's redis-server package, which root can have installed (${notInstalled})`,
  ].join('\n')
}

const machine: RedisSources = {
  docker: probeDocker,
  program: findRedisServer,
  install: () => installDebianPackage('redis-server'),
}

async function probeDocker(): Promise<string | undefined> {
  const { PATH = '', DOCKER_HOST, DOCKER_CONTEXT } = process.env
  const child = await spawnGuarded(process.execPath, {
    args: [fileURLToPath(new URL('./redis-provider-docker-probe.ts', import.meta.url))],
    env: {
      PATH,
      HOME: homedir(),
      ...(DOCKER_HOST === undefined ? {} : { DOCKER_HOST }),
      ...(DOCKER_CONTEXT === undefined ? {} : { DOCKER_CONTEXT }),
    },
    cwd: tmpdir(),
  })
  const written: string[] = []
  child.onLine((line) => written.push(line))
  const { code } = await child.exited
  return code === 0 ? undefined : (written.at(-1) ?? 'the Docker engine could not be asked')
}
