import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { atDeathRun } from './service-process-guard.ts'
import { type TemporaryFolder, temporaryFolder } from './service-process-folder.ts'
import { compileCache } from './compile-cache.ts'
import { until } from './until.ts'

export const commandEntry = fileURLToPath(new URL('../../cli/src/ipfleet.ts', import.meta.url))

type Env = Readonly<Record<string, string>>

export interface CommandOptions {
  /** Default `bulk`. */
  readonly command?: string
  readonly env?: Env
  /** What comes through the pipe; undefined: nothing does, and nothing ever will. */
  readonly stdin?: string | Buffer | Readable
}

export interface CommandEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** The command under way. */
export interface RunningCommand {
  readonly pid: number
  readonly ended: Promise<CommandEnd>
  readonly stdout: Readable
  kill(signal: NodeJS.Signals): void
  /** What it has said so far. */
  said(): string
}

/** A folder with lists and results, and the command in it. */
export class CommandGround implements AsyncDisposable {
  readonly #folder: TemporaryFolder

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder
  }

  static async start(): Promise<CommandGround> {
    return new CommandGround(await temporaryFolder('bulk-command'))
  }

  path(name: string): string {
    return join(this.#folder.path, name)
  }

  async write(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(this.path(name), content)
    return name
  }

  read(name: string): Promise<string> {
    return readFile(this.path(name), 'utf8')
  }

  /** Undefined when there is no such file. */
  async readIfThere(name: string): Promise<string | undefined> {
    return this.read(name).catch(() => undefined)
  }

  /** Resolves when the file has so many lines. */
  async waitForLines(name: string, count: number): Promise<void> {
    await until(async () => linesIn((await this.readIfThere(name)) ?? '').length >= count)
  }

  start(args: readonly string[], options: CommandOptions = {}): RunningCommand {
    const { command = 'bulk', env = {}, stdin = '' } = options
    const child = spawn(process.execPath, [commandEntry, command, ...args], {
      cwd: this.#folder.path,
      env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...compileCache, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const disarm = atDeathRun(`kill -s KILL ${child.pid}`)
    child.stdin.on('error', () => undefined)
    if (typeof stdin === 'string' || Buffer.isBuffer(stdin)) child.stdin.end(stdin)
    else stdin.pipe(child.stdin)
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const end = async (): Promise<CommandEnd> => {
      const [stdout, [code, signal]] = await Promise.all([text(child.stdout).catch(() => ''), once(child, 'close')])
      disarm()
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr: said }
    }
    return {
      pid: Number(child.pid),
      ended: end(),
      stdout: child.stdout,
      kill: (signal) => void child.kill(signal),
      said: () => said,
    }
  }

  run(args: readonly string[], options?: CommandOptions): Promise<CommandEnd> {
    return this.start(args, options).ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder.remove()
  }
}

/** Without the empty text behind the last line end. */
export function linesIn(content: string): readonly string[] {
  return content === '' ? [] : content.replace(/\n$/, '').split('\n')
}

/** What each result is about, in their order. */
export function inputsIn(ndjson: string): readonly string[] {
  return linesIn(ndjson).map((line) => (JSON.parse(line) as { input: string }).input)
}

/** What `--json` has told. */
export function eventsIn(stderr: string): readonly Readonly<Record<string, unknown>>[] {
  return linesIn(stderr).map((line) => JSON.parse(line) as Record<string, unknown>)
}

export function eventIn(stderr: string, name: string): Readonly<Record<string, unknown>> {
  const event = eventsIn(stderr).findLast((one) => one['event'] === name)
  if (event === undefined) throw new Error(`no event "${name}" in:\n${stderr}`)
  return event
}
