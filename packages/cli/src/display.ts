import type { Writable } from 'node:stream'
import { SingleBar } from 'cli-progress'
import { errorLines, type Progress } from './tally.ts'

export interface Summary {
  readonly exitCode: number
  readonly progress: Progress
  readonly answered: number
  readonly seconds: number
  readonly meanRate: number
  /** Of the answered lines, those of addresses that no network owns. */
  readonly bogons: number
  readonly job: string | undefined
  readonly output: string | undefined
}

export interface DisplayOptions {
  /** What messages begin with. */
  readonly name: string
  readonly kind: 'people' | 'json' | 'quiet'
  readonly stream: Writable & { readonly isTTY?: boolean }
  /** Results go to the terminal: no bar in between. */
  readonly resultsAreShown: boolean
}

export function displayOn({ name, kind, stream, resultsAreShown }: DisplayOptions): Display {
  if (kind === 'json') return new JsonDisplay(stream, name)
  if (kind === 'quiet') return new Display(stream, name)
  return stream.isTTY === true && !resultsAreShown ? new BarDisplay(stream, name) : new LineDisplay(stream, name)
}

/** Shows on standard error what happens; this one only what goes wrong. Standard output is for results alone. */
export class Display {
  readonly everyMs: number = 2 ** 31 - 1
  protected readonly stream: Writable
  readonly #name: string

  constructor(stream: Writable, name: string) {
    this.stream = stream
    this.#name = name
  }

  note(_text: string): void {}
  /** For programs. */
  event(_event: string, _details: object): void {}
  /** How many bytes of the list the fleet has, before it is a job. */
  upload(_sent: number, _total: number | undefined): void {}
  progress(_progress: Progress): void {}
  end(_summary: Summary): void {}

  fault(text: string): void {
    this.line(text)
  }

  protected line(text: string): void {
    this.stream.write(`${this.#name}: ${printable(text)}\n`)
  }
}

/** A line now and then, for logs. */
class LineDisplay extends Display {
  override readonly everyMs: number = 10_000

  override note(text: string): void {
    this.line(text)
  }

  override upload(sent: number, total: number | undefined): void {
    this.line(uploadInWords(sent, total))
  }

  override progress(progress: Progress): void {
    this.line(progressInWords(progress))
  }

  override end(summary: Summary): void {
    this.line(summaryInWords(summary))
  }
}

/** A bar on a terminal, with words behind it. */
class BarDisplay extends LineDisplay {
  override readonly everyMs = 250
  readonly #bar: SingleBar
  #isShown = false

  constructor(stream: Writable, name: string) {
    super(stream, name)
    this.#bar = new SingleBar({
      stream,
      format: '{bar} {percentage}% {facts}',
      barsize: 24,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: false,
      clearOnComplete: true,
      fps: 10,
      // It would take Ctrl-C away from the command.
      gracefulExit: false,
    })
  }

  override upload(sent: number, total: number | undefined): void {
    this.#show(sent, total, uploadInWords(sent, total))
  }

  override progress(progress: Progress): void {
    this.#show(progress.done, progress.total, progressInWords(progress))
  }

  /** Removes the bar first. It comes back with the next progress. */
  protected override line(text: string): void {
    if (this.#isShown) this.#bar.stop()
    this.#isShown = false
    super.line(text)
  }

  /** With an unknown total the bar stays empty. */
  #show(done: number, total: number | undefined, facts: string): void {
    const max = Math.max(total ?? 0, done)
    if (!this.#isShown) this.#bar.start(max, done, { facts })
    this.#isShown = true
    this.#bar.setTotal(max)
    this.#bar.update(total === undefined ? 0 : done, { facts })
  }
}

/** An object a line, for programs. */
class JsonDisplay extends Display {
  override readonly everyMs = 1000

  override note(message: string): void {
    this.event('note', { message })
  }

  override fault(message: string): void {
    this.event('error', { message })
  }

  override event(event: string, details: object): void {
    this.stream.write(`${JSON.stringify({ event, ...details })}\n`)
  }

  override upload(sent: number, total: number | undefined): void {
    this.event('upload', { bytes: sent, total_bytes: total })
  }

  override progress({ done, total, isEstimate, rate, etaSeconds, cached, errors }: Progress): void {
    const estimate = isEstimate ? { total_is_estimate: true } : {}
    this.event('progress', {
      done,
      total,
      ...estimate,
      rate: rounded(rate),
      eta_seconds: etaSeconds,
      cached,
      errors,
    })
  }

  override end({ exitCode, progress, answered, seconds, meanRate, bogons, job, output }: Summary): void {
    const { done, cached, errors } = progress
    const run = { seconds: rounded(seconds), rate: rounded(meanRate), job, output }
    this.event('end', { exit_code: exitCode, done, answered, bogons, cached, errors, ...run })
  }
}

const rounded = (value: number): number => Math.round(value * 10) / 10

function uploadInWords(sent: number, total: number | undefined): string {
  return `uploading ${megabytes(sent)}${total === undefined ? '' : ` of ${megabytes(total)}`} MB`
}

const megabytes = (bytes: number): string => (bytes / 1_000_000).toFixed(1)

function progressInWords({ done, total, isEstimate, rate, etaSeconds, cached, errors }: Progress): string {
  const of = total === undefined ? '' : ` of ${isEstimate ? 'about ' : ''}${grouped(total)}`
  const facts = [`${grouped(done)}${of} lines`, `${grouped(Math.round(rate))}/s`]
  if (etaSeconds !== undefined) facts.push(`ETA ${durationInWords(etaSeconds)}`)
  facts.push(`${share(cached, done)} cached`, errorsInWords(errors))
  return facts.join(', ')
}

function summaryInWords({ progress, answered, seconds, meanRate, bogons, output }: Summary): string {
  const { done, cached, errors } = progress
  const kinds = Object.entries(errors).map(([code, count]) => `${grouped(count)} ${code}`)
  return (
    [
      `${linesInWords(done)} in ${durationInWords(seconds)} (${grouped(Math.round(meanRate))}/s)`,
      `${grouped(answered)} answered, ${share(cached, answered)} of them cached${bogons > 0 ? `, ${grouped(bogons)} bogon` : ''}`,
      `${errorsInWords(errors)}${kinds.length > 0 ? ` (${kinds.join(', ')})` : ''}`,
    ].join('; ') + (output === undefined ? '' : ` → ${output}`)
  )
}

const linesInWords = (count: number): string => `${grouped(count)} ${count === 1 ? 'line' : 'lines'}`

function errorsInWords(errors: Progress['errors']): string {
  const count = errorLines(errors)
  return `${grouped(count)} ${count === 1 ? 'error' : 'errors'}`
}

const share = (part: number, whole: number): string => `${whole === 0 ? 0 : Math.round((part / whole) * 100)}%`

const grouped = (count: number): string => count.toLocaleString('en')

function durationInWords(seconds: number): string {
  if (seconds < 10) return `${rounded(seconds)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

/** What a server says may hold sequences that talk to the terminal. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\u{fffd}')
}
