import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

export interface HaproxyServer {
  /** Where it listens for each of the servers, by name. */
  readonly ports: Readonly<Record<string, number>>
  stop(): Promise<void>
}

/** A HAProxy that passes TCP on to each of these: what a `server` line says, such as `127.0.0.1:8090 send-proxy`. */
export async function startHaproxy(servers: Readonly<Record<string, string>>): Promise<HaproxyServer> {
  const folder = await temporaryFolder('haproxy')
  const file = join(folder.path, 'haproxy.cfg')
  for (let tries = 1; ; tries += 1) {
    const ports = Object.fromEntries(Object.keys(servers).map((name) => [name, likelyFreePort()]))
    await writeFile(file, configOf(servers, ports))
    const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    if (await listens(child, Object.values(ports))) return { ports, stop: () => stop(child, () => folder.remove()) }
    if (tries === 5) throw new Error('haproxy found no free ports')
  }
}

function configOf(servers: Readonly<Record<string, string>>, ports: Readonly<Record<string, number>>): string {
  const parts = Object.entries(servers).map(
    ([name, server]) => `listen ${name}\n  bind 127.0.0.1:${ports[name]}\n  server ${name} ${server}\n`,
  )
  const timeouts = 'timeout connect 30s\n  timeout client 60s\n  timeout server 60s'
  return `defaults\n  mode tcp\n  ${timeouts}\n${parts.join('')}`
}

/** False: it has ended, since a port was taken. */
async function listens(child: ChildProcess, ports: readonly number[]): Promise<boolean> {
  const ended = new AbortController()
  child.once('exit', () => ended.abort())
  try {
    for (const port of ports) await waitUntilListening(port, ended.signal)
    return child.exitCode === null
  } catch {
    return false
  }
}

async function stop(child: ChildProcess, remove: () => Promise<void>): Promise<void> {
  const exit = once(child, 'exit')
  child.kill()
  await exit
  await remove()
}
