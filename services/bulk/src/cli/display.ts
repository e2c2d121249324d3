import type { Writable } from 'node:stream'
import { ProgressBar } from './progress-bar.ts'
import { errorLines, type Progress } from './tally.ts'

/** What a run came to. */
export interface Summary {
  readonly exitCode: number
  readonly progress: Progress
  readonly answered: number
  readonly seconds: number
  readonly meanRate: number
  readonly job: string | undefined
  readonly output: string | undefined
}

/** Tells whoever started the command what goes on. Standard output is for results alone. */
export interface Display {
  /** Something worth knowing. */
  note(text: string): void
  /** Why it ends. */
  fault(text: string): void
  /** A piece of news for programs. */
  event(event: string, details: object): void
  /** How much of the list the fleet has, in bytes, before it is a job. */
  upload(sent: number, total: number | undefined): void
  progress(progress: Progress): void
  end(summary: Summary): void
  /** How often it wants to be told of progress. */
  readonly everyMs: number
}

export interface DisplayOptions {
  readonly kind: 'people' | 'json' | 'quiet'
  readonly stream: Writable & { readonly isTTY?: boolean }
  /** Results go to the terminal: no bar in between. */
  readonly resultsAreShown: boolean
}

export function displayOn({ kind, stream, resultsAreShown }: DisplayOptions): Display {
  if (kind === 'json') return new JsonDisplay(stream)
  if (kind === 'quiet') return new QuietDisplay(stream)
  return stream.isTTY === true && !resultsAreShown ? new BarDisplay(stream) : new LineDisplay(stream)
}

const never = 2 ** 31 - 1

/** Nothing but what goes wrong. */
class QuietDisplay implements Display {
  readonly everyMs: number = never
  protected readonly stream: Writable

  constructor(stream: Writable) {
    this.stream = stream
  }

  note(_text: string): void {}
  event(_event: string, _details: object): void {}
  upload(_sent: number, _total: number | undefined): void {}
  progress(_progress: Progress): void {}
  end(_summary: Summary): void {}

  fault(text: string): void {
    this.line(text)
  }

  protected line(text: string): void {
    this.stream.write(`bulk: ${printable(text)}\n`)
  }
}

/** A line now and then, for logs. */
class LineDisplay extends QuietDisplay {
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

class BarDisplay extends LineDisplay {
  override readonly everyMs = 250
  readonly #bar: ProgressBar

  constructor(stream: Writable) {
    super(stream)
    this.#bar = new ProgressBar(stream)
  }

  override upload(sent: number, total: number | undefined): void {
    this.#bar.show(sent, total, uploadInWords(sent, total))
  }

  override progress(progress: Progress): void {
    this.#bar.show(progress.done, progress.total, progressInWords(progress))
  }

  protected override line(text: string): void {
    this.#bar.stop()
    super.line(text)
  }
}

/** An object a line, for programs. */
class JsonDisplay implements Display {
  readonly everyMs = 1000
  readonly #stream: Writable

  constructor(stream: Writable) {
    this.#stream = stream
  }

  note(message: string): void {
    this.event('note', { message })
  }

  fault(message: string): void {
    this.event('error', { message })
  }

  event(event: string, details: object): void {
    this.#stream.write(`${JSON.stringify({ event, ...details })}\n`)
  }

  upload(sent: number, total: number | undefined): void {
    this.event('upload', { bytes: sent, total_bytes: total })
  }

  progress(progress: Progress): void {
    this.event('progress', progressMembers(progress))
  }

  end({ exitCode, progress, answered, seconds, meanRate, job, output }: Summary): void {
    const { done, cached, errors } = progress
    const run = { seconds: rounded(seconds), rate: rounded(meanRate), job, output }
    this.event('end', { exit_code: exitCode, done, answered, cached, errors, ...run })
  }
}

function progressMembers({ done, total, isEstimate, rate, etaSeconds, cached, errors }: Progress): object {
  return {
    done,
    total,
    ...(isEstimate && { total_is_estimate: true }),
    rate: rounded(rate),
    eta_seconds: etaSeconds,
    cached,
    errors,
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
  facts.push(`${share(cached, done)} cached`, `${grouped(errorLines(errors))} errors`)
  return facts.join(', ')
}

function summaryInWords({ progress, answered, seconds, meanRate, output }: Summary): string {
  const { done, cached, errors } = progress
  const kinds = Object.entries(errors).map(([code, count]) => `${grouped(count)} ${code}`)
  return (
    [
      `${grouped(done)} lines in ${durationInWords(seconds)} (${grouped(Math.round(meanRate))}/s)`,
      `${grouped(answered)} answered, ${share(cached, answered)} of them cached`,
      `${grouped(errorLines(errors))} errors${kinds.length > 0 ? ` (${kinds.join(', ')})` : ''}`,
    ].join('; ') + (output === undefined ? '' : ` → ${output}`)
  )
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
