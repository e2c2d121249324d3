import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { compileCache } from './compile-cache.ts'
import { spawnGuarded, type ChildExit, type GuardedChild } from './service-process-child.ts'
import { temporaryFolder } from './service-process-folder.ts'

/** A log line as the service wrote it. */
export type LogLine = Readonly<Record<string, unknown>>

export interface ServiceOptions {
  /** The file that Node runs. */
  readonly entry: string
  readonly args?: readonly string[]
  /** Of Node, before the entry. */
  readonly nodeFlags?: readonly string[]
  /** Added to PATH, HOME and a compile cache, which is all that the service gets of this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** What error messages call it. */
  readonly name?: string
  /** How long it may take to say that it listens. */
  readonly startTimeoutMs?: number
}

export interface ServiceProcess {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Everything written to stdout and stderr so far. */
  output(): string
  /** The JSON log lines among it. */
  lines(): readonly LogLine[]
  /** The first line, past or to come, that matches. Rejects with the output after `timeoutMs` or at the exit. */
  waitForLine(predicate: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>
  kill(signal: NodeJS.Signals): void
  readonly exited: Promise<ChildExit>
  /** SIGTERM, SIGKILL after 30 s. */
  stop(): Promise<ChildExit>
}

/**
 * Runs a service as its own process, in a fresh empty directory (so that no `.env` is read), and waits for its log
 * line `{"msg":"listening","port":…}`. Rejects with what it wrote if it exits first or takes longer than
 * `startTimeoutMs` (default 60 s).
 */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const { entry, args = [], nodeFlags = [], env = {}, name = entry, startTimeoutMs = 60_000 } = options
  const folder = await temporaryFolder('service')
  const child = await spawnGuarded(process.execPath, {
    args: [...nodeFlags, entry, ...args],
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...compileCache, ...env },
    cwd: folder.path,
  })
  const exited = child.exited.finally(() => folder.remove())
  const log = collectLog(child, name)
  try {
    const { port } = await log.waitForLine(isListening, startTimeoutMs)
    return serviceProcess({ ...child, exited }, log, Number(port))
  } catch (error) {
    child.kill('SIGKILL')
    await exited
    throw error
  }
}

/** A lookup replica on a port of its own, with JSON logs, which stops at once, and `env` on top. Errors as in `startService`. */
export function startReplica(env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
  return startService({
    entry: lookupEntry,
    name: 'lookup',
    env: { PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', DRAIN_MS: '0', ...env },
  })
}

/** The replica's composition root. It is run, never imported: a package imports no service. */
export const lookupEntry = fileURLToPath(new URL('../../../services/lookup/src/main.ts', import.meta.url))

type Log = Pick<ServiceProcess, 'output' | 'lines' | 'waitForLine'>

function serviceProcess(child: GuardedChild, log: Log, port: number): ServiceProcess {
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid,
    ...log,
    kill: (signal) => child.kill(signal),
    exited: child.exited,
    stop: async () => {
      await child.stop()
      return child.exited
    },
  }
}

function isListening(line: LogLine): boolean {
  return line['msg'] === 'listening' && typeof line['port'] === 'number'
}

interface Waiter {
  readonly predicate: (line: LogLine) => boolean
  readonly resolve: (line: LogLine) => void
  readonly reject: (why: string) => void
}

function collectLog(child: GuardedChild, name: string): Log {
  const written: string[] = []
  const lines: LogLine[] = []
  const waiters = new Set<Waiter>()
  const output = (): string => written.join('\n')
  let ended: string | undefined
  child.onLine((text) => {
    written.push(text)
    const line = parseLine(text)
    if (line === undefined) return
    lines.push(line)
    for (const waiter of waiters) if (waiter.predicate(line)) waiter.resolve(line)
  })
  const markEnd = ({ code, signal }: ChildExit): void => {
    ended = signal === null ? `exited with code ${code}` : `was ended by ${signal}`
    for (const waiter of waiters) waiter.reject(ended)
  }
  void child.exited.then(markEnd)
  const failure = (why: string): Error => new Error(`${name} ${why} before the awaited line:\n${output()}`)
  const waitForLine: Log['waitForLine'] = async (predicate, timeoutMs = 60_000) => {
    const past = lines.find((line) => predicate(line))
    if (past !== undefined) return past
    if (ended !== undefined) throw failure(ended)
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>()
    const waiter: Waiter = { predicate, resolve, reject: (why) => reject(failure(why)) }
    waiters.add(waiter)
    const timer = setTimeout(waiter.reject, timeoutMs, `took more than ${timeoutMs} ms`)
    return promise.finally(() => {
      clearTimeout(timer)
      waiters.delete(waiter)
    })
  }
  return { output, lines: () => lines, waitForLine }
}

function parseLine(text: string): LogLine | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
