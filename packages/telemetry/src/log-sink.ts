import { hostname } from 'node:os'
import { version } from '@ipfleet/settings/version.ts'
import { escapeControls } from './escape-controls.ts'
import { logTime } from './log-time.ts'
import { SecretScrubber } from './secret-scrubber.ts'
import { type LogDestination, standardOutput } from './standard-output.ts'
import { textLine } from './text-line.ts'

export interface LogSinkOptions {
  readonly format: 'text' | 'json'
  readonly secrets: readonly string[]
  readonly service?: string | undefined
  readonly destination?: LogDestination | undefined
  readonly colour?: boolean | undefined
}

/** The one way out for every line of a process. */
export class LogSink {
  readonly text: boolean
  readonly colour: boolean
  /**
   * Behind `level` and `time` of each JSON line, which process wrote it: `,"service":"edge",…`. Empty for text, which is
   * read where one process writes it.
   */
  readonly identity: string
  readonly #out: LogDestination
  readonly #scrubber: SecretScrubber
  #revision = 0

  constructor({ format, secrets, service, destination, colour }: LogSinkOptions) {
    this.#out = destination ?? standardOutput()
    this.#scrubber = new SecretScrubber(secrets)
    this.text = format === 'text'
    // `hasColors` reads NO_COLOR, FORCE_COLOR and TERM. Only a terminal has the method.
    this.colour = colour ?? (destination === undefined && process.stdout.isTTY && process.stdout.hasColors())
    this.identity = this.text || service === undefined ? '' : identityFields(service)
    this.#out.tellDropped?.((lines) =>
      this.#finished(`{"level":"warn","time":"${logTime()}"${this.identity},"lines":${lines},"msg":"log lines lost"}`),
    )
  }

  /** Changes when secrets become known: what was scrubbed before may hold one of them. */
  get revision(): number {
    return this.#revision
  }

  /** Takes a JSON line, scrubs it, and writes it in the format of the log. */
  write(jsonLine: string): void {
    this.#out.write(this.#finished(jsonLine))
  }

  /** Takes a line in the format of the log whose foreign parts went through `scrub`: the access log's short cut. */
  writeFinished(line: string): void {
    this.#out.write(line)
  }

  readonly scrub = (foreign: string): string => this.#scrubber.scrub(foreign)

  /** Secrets that became known later. */
  addSecrets(secrets: readonly string[]): void {
    this.#revision += 1
    this.#scrubber.add(secrets)
  }

  flush(done?: (error?: Error) => void): void {
    if (this.#out.flush) this.#out.flush(done)
    else done?.()
  }

  /** Writes what is buffered before it returns. The end of the process does this by itself. */
  flushSync(): void {
    this.#out.flushSync?.()
  }

  #finished(jsonLine: string): string {
    const clean = this.#scrubber.scrub(jsonLine)
    return this.text ? textLine(clean, this.colour) : `${escapeControls(clean.trimEnd())}\n`
  }
}

function identityFields(service: string): string {
  return `,${JSON.stringify({ service, version, hostname: hostname() }).slice(1, -1)}`
}
