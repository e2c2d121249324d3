import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type RedisPlace, redisProvider, type RedisProvider } from './redis-provider.ts'
import { temporaryFolder } from './service-process-folder.ts'
import { spawnGuarded } from './service-process-child.ts'

/** Valkey is Redis's open-source continuation: same flags, same log lines, same protocol. */
const names = ['redis-server', 'valkey-server'] as const

/** The first server program on the PATH, or undefined. */
export function findRedisServer(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

/** Servers as child processes of this one. */
export function localRedisProvider(command: string): RedisProvider {
  return redisProvider(command, () => openPlace(command))
}

async function openPlace(command: string): Promise<RedisPlace> {
  const folder = await temporaryFolder('redis')
  return {
    run: async (args) => {
      const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' }
      const child = await spawnGuarded(command, { args, env, cwd: folder.path })
      return {
        exited: child.exited,
        onLine: (listener) => child.onLine(listener),
        signal: async (signal) => child.kill(`SIG${signal}`),
      }
    },
    remove: () => folder.remove(),
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
