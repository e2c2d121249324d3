import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'

export interface Program {
  readonly command: string
  readonly args: readonly string[]
}

export interface RunningProgram {
  readonly ports: readonly number[]
  stop(): Promise<void>
}

/**
 * Starts a program that takes no port 0, with others when those that it was given were taken.
 * @param make what to run for these ports
 * @throws Error with what the program said
 */
export async function onFreePorts(
  count: number,
  make: (ports: readonly number[]) => Program | Promise<Program>,
): Promise<RunningProgram> {
  let said = ''
  for (let tries = 1; tries <= 3; tries += 1) {
    const ports = Array.from({ length: count }, likelyFreePort)
    const { command, args } = await make(ports)
    // A group of its own: servers have workers.
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    if (await listens(child, ports)) return { ports, stop: () => stop(child) }
  }
  throw new Error(`no server came up: ${said}`)
}

/** False: it has ended. */
async function listens(child: ChildProcess, ports: readonly number[]): Promise<boolean> {
  const ended = new AbortController()
  child.once('error', () => ended.abort()).once('exit', () => ended.abort())
  try {
    for (const port of ports) await waitUntilListening(port, ended.signal)
    return child.exitCode === null
  } catch {
    return false
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const exit = child.exitCode === null ? once(child, 'exit') : undefined
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  await exit
}
