import { readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { openFilesLimit } from './proc-stats.ts'

export interface IdleClients extends AsyncDisposable {
  /** Rejects with what they said once they have ended, and only then. */
  readonly broken: Promise<never>
}

/** What a process has open beside its connections. */
const otherFiles = 200

/**
 * Throws when a process may not have so many connections open. Both ends of one are never in the same process here,
 * and every process gets the limit of this one.
 */
export function requireOpenFiles(connections: number): void {
  const limit = openFilesLimit(readFileSync('/proc/self/limits', 'utf8'))
  const needed = connections + otherFiles
  if (limit >= needed) return
  throw new Error(`${connections} connections take ${needed} open files, and 'ulimit -n' allows ${limit}`)
}

/** Opens that many connections from a process of its own. Each has had an answer when this resolves. */
export function openIdleClients(port: number, connections: number, target = '/'): Promise<IdleClients> {
  return startIdle('idle-clients-main.ts', [String(port), String(connections), target])
}

/** Opens that many tunnels through a proxy, to the targets in turn. Each has had a round trip when this resolves. */
export function openIdleTunnels(port: number, tunnels: number, targets: readonly string[]): Promise<IdleClients> {
  return startIdle('idle-tunnels-main.ts', [String(port), String(tunnels), ...targets])
}

async function startIdle(entry: string, args: readonly string[]): Promise<IdleClients> {
  const child = await spawnGuarded(process.execPath, {
    args: [fileURLToPath(new URL(entry, import.meta.url)), ...args],
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir() },
    cwd: tmpdir(),
  })
  const written: string[] = []
  const open = new Promise<void>((resolve) => {
    child.onLine((line) => {
      written.push(line)
      if (line === '{"msg":"open"}') resolve()
    })
  })
  const broken = child.exited.then(() => Promise.reject(new Error(`the clients ended: ${written.join('\n')}`)))
  broken.catch(() => undefined)
  await Promise.race([open, broken])
  return {
    broken,
    [Symbol.asyncDispose]: async () => {
      await child.stop()
    },
  }
}
