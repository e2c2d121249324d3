import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { RedisInstance, RedisProvider } from './redis-provider.ts'
import { temporaryFolder } from './service-process-folder.ts'
import { isPortFree } from './service-process-port.ts'
import { spawnGuarded, type GuardedChild } from './service-process-child.ts'

/** Valkey is Redis's open-source continuation: same flags, same log lines, same protocol. */
const names = ['redis-server', 'valkey-server'] as const

/** The first server program on the PATH, or undefined. */
export function findRedisServer(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

/** Servers as child processes of this one. */
export function localRedisProvider(command: string): RedisProvider {
  return {
    description: command,
    start: (port, args) => startLocal({ command, port, args }),
  }
}

interface LocalServer {
  readonly command: string
  readonly port: number
  readonly args: readonly string[]
}

async function startLocal(server: LocalServer): Promise<RedisInstance | 'port_taken'> {
  const folder = await temporaryFolder('redis')
  const launched = await launch(server, folder.path)
  if (launched === 'port_taken') {
    await folder.remove()
    return launched
  }
  let child = launched
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL') // ends a stopped process too
    await child.exited
  }
  return {
    pause: async () => child.kill('SIGSTOP'),
    resume: async () => child.kill('SIGCONT'),
    kill,
    restart: async () => {
      await kill()
      const again = await launch(server, folder.path)
      if (again === 'port_taken') throw new Error(`port ${server.port} was taken while its server was down`)
      child = again
    },
    stop: async () => {
      await kill()
      await folder.remove()
    },
  }
}

/** Waits for the server's own word that it listens: another server on that port would answer a PING as well. */
async function launch(server: LocalServer, folder: string): Promise<GuardedChild | 'port_taken'> {
  const { command, port, args } = server
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--daemonize', 'no']
  const child = await spawnGuarded(command, {
    args: [...fixed, '--save', '', '--appendonly', 'no', ...args],
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
    cwd: folder,
  })
  const written: string[] = []
  const ready = new Promise<'ready'>((resolve) => {
    child.onLine((line) => {
      written.push(line)
      if (line.includes('Ready to accept connections')) resolve('ready')
    })
  })
  const first = await Promise.race([ready, child.exited])
  if (first === 'ready') return child
  if (!(await isPortFree(port))) return 'port_taken'
  throw new Error(`${command} exited with code ${first.code}:\n${written.join('\n')}`)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
