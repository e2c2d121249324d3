import { homedir, tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type RedisPlace, type RedisProcess, redisProvider, type RedisProvider } from './redis-provider.ts'
import { spawnGuarded } from './service-process-child.ts'
import { atDeathRun } from './service-process-guard.ts'
import { likelyFreePort, waitUntilListening } from './service-process-port.ts'

export const redisImage = 'redis:8-alpine'

const loopbackTimeoutMs = 30_000

/**
 * Starts a container for all Redis servers of this process, and of others that are told its id, through the engine that
 * testcontainers finds. The container has the network of the machine, and each server is a process in it: to start a
 * container for each server takes up to a second, and testcontainers loads for half a second in each test file. The
 * container is removed when this process ends.
 * @returns its id, or why there is none, as a sentence
 */
export async function startRedisContainer(): Promise<{ readonly id: string } | { readonly obstacle: string }> {
  const child = await spawnGuarded(process.execPath, {
    args: [fileURLToPath(new URL('./redis-provider-docker-start.ts', import.meta.url))],
    env: dockerEnv(),
    cwd: tmpdir(),
  })
  const written: string[] = []
  child.onLine((line) => written.push(line))
  const { code } = await child.exited
  const last = written.at(-1) ?? 'the Docker engine could not be asked'
  if (code !== 0) return { obstacle: last }
  atDeathRun(`docker rm --force --volumes ${last}`)
  return (await isOnLoopback(last)) ? { id: last } : { obstacle: 'containers do not have the network of this machine' }
}

/** An engine on another machine, or in a virtual one, has the network of that. */
async function isOnLoopback(container: string): Promise<boolean> {
  const port = likelyFreePort()
  try {
    const server = await dockerRedisProvider(container).start(port, [])
    if (server === 'port_taken') return isOnLoopback(container)
    await waitUntilListening(port, AbortSignal.timeout(loopbackTimeoutMs))
    await server.stop()
    return true
  } catch {
    return false
  }
}

/** Servers in a container of `startRedisContainer`. */
export function dockerRedisProvider(container: string): RedisProvider {
  return redisProvider(`a container of ${redisImage}`, async () => openPlace(container))
}

/**
 * Runs redis-server in the directory $1 until it ends, or until stdin does because the test process has ended. Each line
 * of stdin is a signal for it, and is written out again once it is sent.
 */
const script = `
mkdir -p "$1" && cd "$1" && shift || exit
redis-server "$@" </dev/null &
server=$!
exec 3<&0
{
  while read -r signal; do kill -s "$signal" $server; echo "sent $signal"; done
  kill -s KILL $server
} <&3 2>/dev/null &
wait $server
code=$?
kill $! 2>/dev/null
exit $code
`

let placesOpened = 0

function openPlace(container: string): RedisPlace {
  placesOpened += 1
  const folder = `/tmp/redis-${process.pid}-${placesOpened}`
  return {
    run: (args) => runIn(container, [folder, ...args]),
    remove: async () => undefined, // with the container
  }
}

async function runIn(container: string, args: readonly string[]): Promise<RedisProcess> {
  const child = await spawnGuarded('docker', {
    args: ['exec', '--interactive', container, 'sh', '-c', script, 'sh', ...args],
    env: dockerEnv(),
    cwd: tmpdir(),
    stdin: true,
  })
  let sent = Promise.withResolvers<void>()
  child.onLine((line) => {
    if (line.startsWith('sent ')) sent.resolve()
  })
  return {
    exited: child.exited,
    onLine: (listener) => child.onLine(listener),
    signal: async (signal) => {
      sent = Promise.withResolvers()
      child.write(`${signal}\n`)
      await Promise.race([sent.promise, child.exited])
    },
  }
}

function dockerEnv(): Record<string, string> {
  const { PATH = '', DOCKER_HOST, DOCKER_CONTEXT } = process.env
  return {
    PATH,
    HOME: homedir(),
    ...(DOCKER_HOST !== undefined && { DOCKER_HOST }),
    ...(DOCKER_CONTEXT !== undefined && { DOCKER_CONTEXT }),
  }
}
