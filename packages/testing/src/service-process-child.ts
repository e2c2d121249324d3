import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { atDeathRun } from './service-process-guard.ts'

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface GuardedChild {
  readonly pid: number
  /** Settles when the process has ended and all that it wrote has been read. */
  readonly exited: Promise<ChildExit>
  /** Calls `listener` for each line of stdout and stderr from now on. */
  onLine(listener: (line: string) => void): void
  kill(signal: NodeJS.Signals): void
  /** To its stdin, which ends with this process. Only with `stdin: true`. */
  write(text: string): void
  /** SIGTERM, and SIGKILL after `graceMs`. */
  stop(graceMs?: number): Promise<ChildExit>
}

export interface SpawnOptions {
  readonly args: readonly string[]
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Whether it has a stdin to write to. Default: false. */
  readonly stdin?: boolean
}

type Spawned = ChildProcessByStdio<Writable | null, Readable, Readable>

/**
 * Starts a process that dies with this one, whatever ends this one. It leads a process group of its own: the
 * terminal's Ctrl-C does not reach it, so that the parent decides on the order of the end, and what it has
 * started itself can be ended with it. Throws if it cannot be started.
 */
export async function spawnGuarded(command: string, options: SpawnOptions): Promise<GuardedChild> {
  const { args, env, cwd, stdin = false } = options
  const stdio = [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'] as const
  const child = spawn(command, args, { env, cwd, detached: true, stdio: [...stdio] }) as Spawned
  child.stdin?.on('error', () => undefined) // the child has ended, which `exited` tells
  const listeners: ((line: string) => void)[] = []
  const emit = (line: string): void => listeners.forEach((listener) => listener(line))
  readLines(child.stdout, emit)
  readLines(child.stderr, emit)
  const exited = exitOf(child)
  const pid = await pidOf(child, command)
  const disarm = atDeathRun(`kill -s KILL -- -${pid}`)
  void exited.finally(disarm)
  return {
    pid,
    exited,
    onLine: (listener) => void listeners.push(listener),
    kill: (signal) => void child.kill(signal),
    write: (text) => void child.stdin?.write(text),
    stop: (graceMs = 30_000) => stop(child, exited, graceMs),
  }
}

function readLines(stream: Readable, emit: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', emit)
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
}

function pidOf(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(Number(child.pid)))
    child.once('error', (cause) => reject(new Error(`${command} could not be started`, { cause })))
  })
}

async function stop(child: ChildProcess, exited: Promise<ChildExit>, graceMs: number): Promise<ChildExit> {
  child.kill('SIGTERM')
  child.kill('SIGCONT') // a stopped process would keep the SIGTERM pending
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  try {
    return await exited
  } finally {
    clearTimeout(timer)
  }
}
