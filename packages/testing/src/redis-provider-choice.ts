import { installDebianPackage } from './debian-package.ts'
import { dockerRedisProvider, startRedisContainer } from './redis-provider-docker.ts'
import { findRedisServer, localRedisProvider } from './redis-provider-local.ts'
import type { RedisProvider } from './redis-provider.ts'

/** `docker`: a container. `local`: a program on the PATH or, failing that, Debian's package. */
export type RedisProviderKind = 'docker' | 'local'

/** Forces a provider; jest's global setup sets it too, so that all test files of a run have the same. */
export const providerVariable = 'IPFLEET_TEST_REDIS'

/** The id of the container that global setup has started for the run, with `docker`. */
export const containerVariable = 'IPFLEET_TEST_REDIS_CONTAINER'

/** What can be found out and done about Redis on this machine. Reasons are sentences for the final error. */
export interface RedisSources {
  /** A container for the servers, or why there can be none. */
  docker(): ReturnType<typeof startRedisContainer>
  /** The server program on the PATH. */
  program(): string | undefined
  /** Why Debian's package could not be installed, or undefined when it was. */
  install(): Promise<string | undefined>
}

export interface RedisChoice {
  readonly kind: RedisProviderKind
  readonly provider: RedisProvider
  /** Id of the container that was started, with `docker`. */
  readonly container?: string
}

/**
 * The first that works: a container, a program on the PATH (the other way round with `prefer: 'local'`), Debian's
 * package. `forced` leaves one kind only. Throws one error that names the three ways if none works.
 */
export async function chooseRedisProvider(
  forced: string | undefined,
  { sources = machine, prefer = 'docker' }: { sources?: RedisSources; prefer?: RedisProviderKind } = {},
): Promise<RedisChoice> {
  if (forced !== undefined && forced !== 'docker' && forced !== 'local') {
    throw new Error(`${providerVariable} is "${forced}"; allowed are docker and local`)
  }
  const local = (): string | undefined => (forced === 'docker' ? undefined : sources.program())
  const preferred = prefer === 'local' ? local() : undefined
  if (preferred !== undefined) return { kind: 'local', provider: localRedisProvider(preferred) }
  const docker = forced === 'local' ? { obstacle: 'not asked for' } : await sources.docker()
  if ('id' in docker) return { kind: 'docker', provider: dockerRedisProvider(docker.id), container: docker.id }
  const program = local()
  if (program !== undefined) return { kind: 'local', provider: localRedisProvider(program) }
  const notInstalled = forced === 'docker' ? 'not asked for' : await sources.install()
  const installed = notInstalled === undefined ? sources.program() : undefined
  if (installed !== undefined) return { kind: 'local', provider: localRedisProvider(installed) }
  throw new Error(noRedisMessage(docker.obstacle, notInstalled ?? 'the package brought no redis-server'))
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
  const { provider } = await chooseRedisProvider(forcedProvider())
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
  docker: async () => {
    const id = process.env[containerVariable]
    return id === undefined ? startRedisContainer() : { id }
  },
  program: findRedisServer,
  install: () => installDebianPackage('redis-server'),
}
