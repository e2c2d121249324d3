import { hostname } from 'node:os'
import { version } from '@ipfleet/settings/version.ts'
import { escapeControls } from './escape-controls.ts'
import { logTime } from './log-time.ts'
import { createSecretScrubber } from './secret-scrubber.ts'
import { type LogDestination, standardOutput } from './standard-output.ts'
import { textLine } from './text-line.ts'

/** The one way out for every line of a process. */
export interface LogSink {
  readonly text: boolean
  readonly colour: boolean
  /**
   * Behind `level` and `time` of each JSON line, which process wrote it: `,"service":"edge",…`. Empty for text, which is
   * read where one process writes it.
   */
  readonly identity: string
  /** Takes a JSON line, scrubs it, and writes it in the format of the log. */
  write(jsonLine: string): void
  /** Takes a line in the format of the log whose foreign parts went through `scrub`: the access log's short cut. */
  writeFinished(line: string): void
  readonly scrub: (text: string) => string
  /** Changes when secrets become known: what was scrubbed before may hold one of them. */
  readonly revision: number
  /** Secrets that became known later. */
  addSecrets(secrets: readonly string[]): void
  flush(done?: (error?: Error) => void): void
  /** Writes what is buffered before it returns. The end of the process does this by itself. */
  flushSync(): void
}

export interface LogSinkOptions {
  readonly format: 'text' | 'json'
  readonly secrets: readonly string[]
  readonly service?: string | undefined
  readonly destination?: LogDestination | undefined
  readonly colour?: boolean | undefined
}

export function createLogSink(options: LogSinkOptions): LogSink {
  const out = options.destination ?? standardOutput()
  const scrubber = createSecretScrubber(options.secrets)
  const text = options.format === 'text'
  // `hasColors` reads NO_COLOR, FORCE_COLOR and TERM. Only a terminal has the method.
  const colour =
    options.colour ?? (options.destination === undefined && process.stdout.isTTY && process.stdout.hasColors())
  const identity = text || options.service === undefined ? '' : identityFields(options.service)
  const finished = (jsonLine: string): string => {
    const clean = scrubber.scrub(jsonLine)
    return text ? textLine(clean, colour) : `${escapeControls(clean.trimEnd())}\n`
  }
  out.tellDropped?.((lines) =>
    finished(`{"level":"warn","time":"${logTime()}"${identity},"lines":${lines},"msg":"log lines lost"}`),
  )
  let revision = 0
  return {
    text,
    colour,
    identity,
    get revision() {
      return revision
    },
    write: (jsonLine) => out.write(finished(jsonLine)),
    writeFinished: (line) => out.write(line),
    scrub: (foreign) => scrubber.scrub(foreign),
    addSecrets: (secrets) => {
      revision += 1
      scrubber.add(secrets)
    },
    flush: (done) => (out.flush ? out.flush(done) : done?.()),
    flushSync: () => out.flushSync?.(),
  }
}

function identityFields(service: string): string {
  return `,${JSON.stringify({ service, version, hostname: hostname() }).slice(1, -1)}`
}
