import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { memoryFlags } from '@ipfleet/testing/memory-flags.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { atDeathRun } from '@ipfleet/testing/service-process-guard.ts'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'

/** A server under measurement: its log goes to a file, so that reading it costs the measurer nothing. */
export interface MeasuredServer extends AsyncDisposable {
  readonly name: string
  readonly url: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

export interface ServerCommand {
  readonly name: string
  readonly command: string
  /** Given its port and a folder of its own, the command's arguments. */
  readonly args: (port: number, folder: string) => readonly string[]
  /** Given its port, what it finds in its environment beside PATH and HOME. */
  readonly env?: (port: number) => Readonly<Record<string, string>>
}

const startTimeoutMs = 60_000

/** Starts a server in a folder of its own and waits until it listens. Throws what it wrote if it does not. */
export async function startMeasured({ name, command, args, env }: ServerCommand): Promise<MeasuredServer> {
  const folder = await temporaryFolder(`bench-${name.replaceAll(' ', '-')}`)
  const port = likelyFreePort()
  const logPath = join(folder.path, 'output.log')
  const log = openSync(logPath, 'a')
  const child = spawn(command, args(port, folder.path), {
    cwd: folder.path,
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...env?.(port) },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  const exited = once(child, 'exit')
  await once(child, 'spawn')
  const pid = Number(child.pid)
  // The whole group: nginx's workers outlive a killed master.
  const disarm = atDeathRun(`kill -s KILL -- -${pid}`)
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
    disarm()
    await folder.remove()
  }
  const gone = exited.then(() => Promise.reject(new Error(`${name} ended`)))
  try {
    await Promise.race([waitUntilListening(port, AbortSignal.timeout(startTimeoutMs)), gone])
  } catch (cause) {
    const written = readFileSync(logPath, 'utf8')
    await stop()
    throw new Error(`${name} did not start:\n${written}`, { cause })
  }
  gone.catch(() => undefined)
  return { name, url: `http://127.0.0.1:${port}`, port, pid, stop, [Symbol.asyncDispose]: stop }
}

const root = new URL('../../../', import.meta.url)
/** Where Node keeps what it has compiled, so that servers start sooner. */
export const compileCache = fileURLToPath(new URL('node_modules/.cache/node', root))

/**
 * A lookup replica as `npm start` runs it, with the access log as JSON and metrics on. `nodeFlags` come before the
 * entry, after those of `npm start`.
 * @param build the folder of another build, in which the dependencies are installed; default: this one
 */
export function replicaCommand(
  env: Readonly<Record<string, string>>,
  nodeFlags: readonly string[] = [],
  build?: string,
): ServerCommand {
  return serviceCommand('lookup', env, nodeFlags, build)
}

/** A service of the fleet, as `npm run` starts it. */
export function serviceCommand(
  service: 'lookup' | 'bulk',
  env: Readonly<Record<string, string>>,
  nodeFlags: readonly string[] = [],
  build = fileURLToPath(root),
): ServerCommand {
  const entry = resolve(build, `services/${service}/src/main.ts`)
  return {
    name: service === 'lookup' ? 'replica' : service,
    command: process.execPath,
    args: () => [...memoryFlags, ...nodeFlags, entry],
    env: (port) => ({
      PORT: String(port),
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      LOG_LEVEL: 'info',
      DRAIN_MS: '0',
      // All load comes from this machine.
      MAX_CONNECTIONS_PER_CLIENT: '0',
      NODE_COMPILE_CACHE: compileCache,
      ...env,
    }),
  }
}
