import { isReadmeOutput } from './readme-output.ts'
import { type ReadmeStep, readmeSteps } from './readme-steps.ts'
import { type ChildExit, type GuardedChild, spawnGuarded } from './service-process-child.ts'

export interface ReadmePlace {
  /** Where a reader has their terminals: each block is a shell of its own in this directory. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  /** Why a block cannot be run here; undefined when it can. */
  readonly obstacle: (script: string) => string | undefined
  /** Told of each block that is not run, and why. */
  readonly print: (line: string) => void
  /** How long a block may take until it ends or is ready. */
  readonly timeoutMs: (script: string) => number
  /** What the reader does with what runs on, before Ctrl-C. */
  readonly beforeStop?: () => Promise<void>
}

/**
 * Does what a README tells, word for word: see `readmeSteps`. What it leaves running is ended in any case.
 * @param name of the README, for messages
 * @throws Error with the place and all that was printed, when a block fails, hangs or prints something else
 */
export async function followReadme(name: string, markdown: string, place: ReadmePlace): Promise<void> {
  const terminals: Terminal[] = []
  try {
    for (const step of readmeSteps(markdown)) {
      await follow(step, { name: `${name}:${step.line}`, place, terminals })
    }
  } finally {
    for (const terminal of terminals) terminal.kill()
    await Promise.all(terminals.map(({ ended }) => ended))
  }
}

interface Visit {
  /** File and line. */
  readonly name: string
  readonly place: ReadmePlace
  /** What goes on in them has been left running. */
  readonly terminals: Terminal[]
}

async function follow(step: ReadmeStep, { name, place, terminals }: Visit): Promise<void> {
  if (step.kind === 'stop') {
    await place.beforeStop?.()
    for (const terminal of terminals.splice(0).toReversed()) await terminal.interrupt()
    return
  }
  const obstacle = step.kind === 'skip' ? step.reason : place.obstacle(step.script)
  if (obstacle !== undefined) {
    place.print(`${name} is not run: ${obstacle}`)
    return
  }
  const terminal = await Terminal.open(name, step.script, place)
  // From here on it is ended whatever happens.
  terminals.push(terminal)
  if (step.kind === 'serve') return terminal.ready(step.ready)
  await terminal.done()
  terminals.splice(terminals.indexOf(terminal), 1)
  if (step.kind === 'run' && step.shown !== undefined && !isReadmeOutput(step.shown, terminal.printed)) {
    throw new Error(`${name} shows\n\n${step.shown}\n\nbut it printed\n\n${terminal.printed}`)
  }
}

const interruptTimeoutMs = 60_000

/** A shell with one block in it, in a process group of its own as in a terminal. */
class Terminal {
  readonly ended: Promise<ChildExit>
  readonly #name: string
  readonly #child: GuardedChild
  readonly #timeoutMs: number
  readonly #lines: string[] = []
  #sawLine: () => void = () => undefined

  private constructor(name: string, child: GuardedChild, timeoutMs: number) {
    this.#name = name
    this.#child = child
    this.#timeoutMs = timeoutMs
    this.ended = child.exited
    child.onLine((line) => {
      this.#lines.push(line)
      this.#sawLine()
    })
  }

  static async open(name: string, script: string, { folder, env, timeoutMs }: ReadmePlace): Promise<Terminal> {
    // Both streams in one, as they would stand in the terminal.
    const child = await spawnGuarded('bash', { args: ['-ec', `exec 2>&1\n${script}`], env, cwd: folder })
    return new Terminal(name, child, timeoutMs(script))
  }

  get printed(): string {
    return this.#lines.join('\n')
  }

  /** Resolves when it has said `text`, and is still there. */
  async ready(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#sawLine = () => {
      if (this.printed.includes(text)) resolve(undefined)
    }
    this.#sawLine()
    const exit = await this.#within(this.#timeoutMs, Promise.race([promise, this.ended]), `did not say "${text}"`)
    if (exit !== undefined) throw this.#failure(`ended before it said "${text}"`)
  }

  /** Resolves when it has ended, and well. */
  async done(): Promise<void> {
    const { code, signal } = await this.#within(this.#timeoutMs, this.ended, 'did not end')
    if (code !== 0) throw this.#failure(`ended with ${code ?? signal}`)
  }

  /** Ctrl-C. */
  async interrupt(): Promise<void> {
    this.#signal('SIGINT')
    await this.#within(interruptTimeoutMs, this.ended, 'did not end at Ctrl-C')
  }

  kill(): void {
    this.#signal('SIGKILL')
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.#child.pid, signal)
    } catch {
      // Nobody is left.
    }
  }

  async #within<T>(timeoutMs: number, work: Promise<T>, complaint: string): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      this.kill()
      reject(this.#failure(`${complaint} within ${timeoutMs / 1000} s`))
    }, timeoutMs)
    return Promise.race([work, late]).finally(() => clearTimeout(timer))
  }

  #failure(what: string): Error {
    return new Error(`${this.#name} ${what}. It printed\n\n${this.printed}`)
  }
}
