import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { onFreePorts } from './on-free-port.ts'

export interface HaproxyServer {
  /** Where it listens for each of the servers, by name. */
  readonly ports: Readonly<Record<string, number>>
  stop(): Promise<void>
}

/** A HAProxy that passes TCP on to each of these: what a `server` line says, such as `127.0.0.1:8090 send-proxy`. */
export async function startHaproxy(servers: Readonly<Record<string, string>>): Promise<HaproxyServer> {
  const folder = await temporaryFolder('haproxy')
  const file = join(folder.path, 'haproxy.cfg')
  const names = Object.keys(servers)
  const running = await onFreePorts(names.length, async (free) => {
    await writeFile(file, configOf(servers, free))
    return { command: 'haproxy', args: ['-db', '-f', file] }
  })
  return {
    ports: Object.fromEntries(names.map((name, index) => [name, running.ports[index] ?? 0])),
    stop: async () => {
      await running.stop()
      await folder.remove()
    },
  }
}

function configOf(servers: Readonly<Record<string, string>>, ports: readonly number[]): string {
  const parts = Object.entries(servers).map(
    ([name, server], index) => `listen ${name}\n  bind 127.0.0.1:${ports[index]}\n  server ${name} ${server}\n`,
  )
  const timeouts = 'timeout connect 30s\n  timeout client 60s\n  timeout server 60s'
  return `defaults\n  mode tcp\n  ${timeouts}\n${parts.join('')}`
}
