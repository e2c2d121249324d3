import { resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Environment } from '@ipfleet/settings/sources.ts'
import { BatchClient } from '@ipfleet/fleet-client/batch-client.ts'
import { runBatches } from './batch-run.ts'
import { exitCodes, JobCancelled, reported, Stopped } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import { detectMode } from './detect-mode.ts'
import type { Display } from './display.ts'
import { startEmbeddedFleet } from './embedded-fleet.ts'
import { FleetClient } from '@ipfleet/fleet-client/fleet-client.ts'
import { cancelJob, jobPath } from './fleet-job.ts'
import { InputReader } from './input-reader.ts'
import { followJob } from './job-results.ts'
import { jobOfRun } from './job-upload.ts'
import { lockOutput } from './output-lock.ts'
import { openOutput, type OwnOf, ownByReading } from './list-output.ts'
import { type OutputPlan, planOutput, type ResultOutput, type RunBefore } from './output.ts'
import type { OwnColumns } from './own-columns.ts'
import { RetryPolicy } from '@ipfleet/fleet-client/retry-policy.ts'
import { howToContinue, requireSame, StateFile, termsOf } from './run-state.ts'
import { canReopen, givenSource, type Source, sourcesOf, totalBytes } from './sources.ts'
import { Tally } from './tally.ts'
import { headLines } from './whole-rows.ts'

export interface CommandContext {
  /** For the embedded fleet. */
  readonly env: Environment
  readonly folder: string
  readonly stdin: Readable
  readonly stdout: Writable
  readonly display: Display
  /** Aborts with a `Stopped`. */
  readonly signal: AbortSignal
}

/** Looks a list up, or fetches a job's results, and reports on it. @returns the exit code */
export async function runBulk(options: BulkOptions, context: CommandContext): Promise<number> {
  const { display, folder, stdin } = context
  try {
    const { addresses, inputs, inputFormat } = options
    const sources = addresses ? [givenSource(addresses)] : await sourcesOf(inputs, inputFormat, folder, stdin)
    const { output = '-' } = options
    const path = options.output === undefined ? undefined : resolve(folder, options.output)
    await using held = new AsyncDisposableStack()
    if (path !== undefined) held.use(await lockOutput(path, output))
    const plan = await planOutput(path, options, sources)
    const left = plan.kind === 'file' ? plan.before : undefined
    const hasBegun = left !== undefined && (left.rows.lines > 0 || left.state.job !== undefined)
    if (hasBegun) requireSame(left.state, options, sources)
    return await new BulkRun({ ...context, options, sources, plan, before: hasBegun ? left : undefined }).run()
  } catch (error) {
    return reported(error, display)
  }
}

interface RunDeps extends CommandContext {
  readonly options: BulkOptions
  readonly sources: readonly Source[]
  readonly plan: OutputPlan
  readonly before: RunBefore | undefined
}

/** The bulk service's default: the part of each key's quota that is left to live look-ups. */
const liveReservePercent = 10
const batchTimeoutMs = 30_000
/** The code of lines that are no addresses. */
const badInput = 'wrong_ip'

class BulkRun {
  readonly #deps: RunDeps
  readonly #tally: Tally
  readonly #retryPolicy: RetryPolicy
  readonly #client: FleetClient
  readonly #state: StateFile
  /** Bytes of the lists, while they are uploaded. */
  #bytesSent: (() => number) | undefined
  #output: ResultOutput | undefined
  /** Of the lists, whose columns it tells of to the end; undefined for a job that was there. */
  readonly #firstReader: InputReader | undefined
  /** The same, until it is used. */
  #reader: InputReader | undefined
  #ownColumns: OwnColumns | undefined

  constructor(deps: RunDeps) {
    const { options, sources, plan, before } = deps
    const done = before === undefined ? 0 : Math.max(0, before.rows.lines - headLines(options.format))
    const soFar = before?.state.soFar
    const left = before?.state ?? { version: 1, way: 'batch', ...termsOf(options, sources) }
    this.#deps = deps
    this.#firstReader = options.job === undefined ? new InputReader(sources, options) : undefined
    this.#reader = this.#firstReader
    this.#tally = new Tally(done, soFar?.lines === done ? soFar : undefined)
    this.#retryPolicy = new RetryPolicy({ note: this.#note })
    this.#client = new FleetClient(options.url, options.token)
    this.#state = new StateFile(plan.kind === 'file' ? plan.path : undefined, left)
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    const { display, signal } = this.#deps
    const timer = setInterval(() => this.#showProgress(), display.everyMs)
    try {
      await this.#reader?.prepare()
      for (const note of this.#reader?.notes ?? []) display.note(note)
      if (this.#tally.done > 0) display.note(`going on behind line ${this.#tally.done}`)
      await this.#lookUp()
      await this.#output?.end()
      await this.#state.remove()
      return this.#end()
    } catch (error) {
      clearInterval(timer)
      const why: unknown = signal.aborted ? signal.reason : error
      const exitCode = reported(why, display)
      await this.#leave(why)
      return exitCode
    } finally {
      clearInterval(timer)
      await this.#output?.close()
      this.#client.close()
    }
  }

  async #lookUp(): Promise<void> {
    const { options, before, env, signal } = this.#deps
    if (options.job !== undefined || before?.state.way === 'job') return this.#followJob()
    const mode = await detectMode({ ...this.#access, note: this.#note }, options)
    // A run that was begun in batches is ended in batches.
    if (mode === 'job' && before === undefined && options.addresses === undefined) return this.#followJob()
    if (mode !== 'embedded') return this.#askBatches(this.#client, liveReservePercent)
    this.#note(`no fleet answers at ${options.url}: one is started for this run`)
    const fleet = await startEmbeddedFleet(env, this.#note, signal)
    try {
      await this.#askBatches(new FleetClient(fleet.url, options.token), 0)
    } finally {
      await fleet.stop()
    }
  }

  async #askBatches(fleet: FleetClient, reserved: number): Promise<void> {
    const { options, sources, signal } = this.#deps
    const { fields } = options
    const reader = this.#reader ?? new InputReader(sources, options)
    this.#started('batch', fleet.url)
    const output = await this.#openOutput(fields, ({ length }) => reader.takeOwn(length))
    await this.#state.keep()
    await runBatches({
      client: new BatchClient({ fleet, timeoutMs: batchTimeoutMs, liveReservePercent: reserved }),
      reader,
      bytes: totalBytes(sources),
      fields,
      output,
      tally: this.#tally,
      retryPolicy: this.#retryPolicy,
      signal,
    })
  }

  async #followJob(): Promise<void> {
    const { options, sources, display } = this.#deps
    this.#started('job', options.url)
    const onUpload = (bytesSent: (() => number) | undefined): void => void (this.#bytesSent = bytesSent)
    const job = await jobOfRun({
      ...this.#access,
      options,
      sources,
      state: this.#state,
      note: this.#note,
      firstReader: () => this.#takeReader(),
      onUpload,
    })
    // xz-decompress reads one file at a time, and the lists are read again beside the results.
    await this.#takeReader()?.close()
    await this.#state.keep({ way: 'job', job: job.id })
    display.event('job', { id: job.id })
    if (options.job === undefined) display.note(`the list is job ${job.id}`)
    const output = await this.#openOutput(job.fields, this.#ownOfFiles())
    await followJob(job.id, { ...this.#access, output, tally: this.#tally })
  }

  get #access() {
    return { client: this.#client, retryPolicy: this.#retryPolicy, signal: this.#deps.signal }
  }

  readonly #note = (text: string): void => this.#deps.display.note(text)

  /** The reader that was prepared, for one use. A further upload begins with a new one. */
  #takeReader(): InputReader | undefined {
    const reader = this.#reader
    this.#reader = undefined
    return reader
  }

  /** What the rows of the lists have of their own, read once more; undefined where they cannot be. */
  #ownOfFiles(): OwnOf | undefined {
    const { options, sources } = this.#deps
    if (options.job !== undefined) return undefined
    if (canReopen(sources)) return ownByReading(new InputReader(sources, options), this.#tally.done)
    if (this.#firstReader?.columns !== undefined) {
      this.#note(
        'what comes by a pipe keeps no columns of its own where the fleet takes jobs; name a file to keep them',
      )
    }
    return undefined
  }

  async #openOutput(fields: readonly string[] | undefined, own: OwnOf | undefined): Promise<ResultOutput> {
    const list = { columns: this.#firstReader?.columns, types: this.#firstReader?.types, own }
    const { output, ownColumns } = await openOutput(this.#deps, list, fields)
    this.#output = output
    this.#ownColumns = ownColumns
    return output
  }

  #started(way: 'job' | 'batch', url: string): void {
    this.#deps.display.event('start', { way, url, lines_before: this.#tally.done })
  }

  #showProgress(): void {
    const { sources, display } = this.#deps
    if (this.#bytesSent) display.upload(this.#bytesSent(), totalBytes(sources))
    else if (this.#output) display.progress(this.#tally.progress())
  }

  #end(): number {
    const { options, display } = this.#deps
    const { counts, seconds, meanRate } = this.#tally
    const hasFailures = Object.keys(counts.errors).some((code) => code !== badInput)
    const exitCode = hasFailures ? exitCodes.someFailed : exitCodes.done
    const bogons = this.#output?.bogons ?? 0
    const missing = [...(this.#output?.missing ?? [])]
    if (counts.answered > bogons && missing.length > 0) display.note(`no record had ${missing.join(', ')}`)
    const leftOut = this.#ownColumns?.leftOut ?? []
    if (leftOut.length > 0)
      display.note(`only later rows have ${leftOut.join(', ')}: left out (--format ndjson keeps all)`)
    const run = { seconds, meanRate, bogons, job: this.#state.now.job, output: options.output }
    display.end({ exitCode, progress: this.#tally.progress(), answered: counts.answered, ...run })
    return exitCode
  }

  /** Keeps what it takes to continue, and says how. */
  async #leave(why: unknown): Promise<void> {
    const { options, sources } = this.#deps
    const { done, counts } = this.#tally
    const { job } = this.#state.now
    const isCancelled =
      why instanceof Stopped && options.cancelOnExit && job !== undefined && (await cancelJob(job, this.#client))
    if (isCancelled) await this.#state.forgetJob()
    if (done === 0 && this.#state.now.job === undefined) await this.#state.remove()
    else await this.#state.keep({ soFar: { ...counts, lines: done } })
    if (why instanceof JobCancelled) {
      if (this.#state.isKept && options.job === undefined)
        this.#note(`${done} lines are written; --no-resume begins anew`)
      return
    }
    if (isCancelled) this.#note(`the job ${job} is cancelled`)
    else if (job !== undefined) {
      this.#note(`the job ${job} goes on; to cancel it: DELETE ${options.url}/${jobPath(job)}`)
    }
    const hint = howToContinue(this.#state, options, sources, done)
    if (hint !== undefined) this.#note(hint)
  }
}
