import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { BulkOptions } from './command-options.ts'
import { failure, usageFault } from './command-fault.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import type { FilePrint, Source } from './sources.ts'
import type { LineTally } from './tally.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

type SameOption = 'url' | 'inputFormat' | 'column' | 'extract' | 'prefix' | 'format' | 'fields'

/** What has to be the same when a run is continued. */
type RunTerms = { readonly [Name in SameOption]: BulkOptions[Name] } & {
  /** Null: a list that cannot be read again, or a job that was there. */
  readonly inputs: readonly FilePrint[] | null
  readonly networks: 'first' | undefined
  readonly app: BulkOptions['for']
}

/** What an interrupted run leaves beside its output, so that the next one can continue. It holds no secret. */
export interface RunState extends RunTerms {
  readonly version: 1
  /** `batch`: asked by the command itself. */
  readonly way: 'job' | 'batch'
  /** The Idempotency-Key of the upload: it finds the job again when the answer was lost. */
  readonly uploadKey?: string
  readonly job?: string
  /** What is known of the lines that were written, unless the run crashed. */
  readonly soFar?: LineTally & { readonly lines: number }
}

export const statePathOf = (output: string): string => `${output}.ipfleet.json`

/** @throws CommandFault with exit code 2 for a file that this command has not written */
export async function readState(output: string): Promise<RunState | undefined> {
  const path = statePathOf(output)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw usageFault(`${path} cannot be read (${errorCode(error) ?? 'unknown'})`)
  }
  const state = parseJson(text)
  if (isState(state)) return state
  throw usageFault(`${path} is not understood; --no-resume begins anew`)
}

/** What a run leaves for the next one: a file beside the output, if that is a file. */
export class StateFile {
  readonly #path: string | undefined
  #state: RunState

  /** @param output the file with the results, if there is one */
  constructor(output: string | undefined, state: RunState) {
    this.#path = output === undefined ? undefined : statePathOf(output)
    this.#state = state
  }

  get now(): RunState {
    return this.#state
  }

  /** Whether the same command again would continue. */
  get isKept(): boolean {
    return this.#path !== undefined
  }

  /** Written as a whole or not at all: a crash leaves the old file. @throws CommandFault */
  async keep(changes: Partial<RunState> = {}): Promise<void> {
    this.#state = { ...this.#state, ...changes }
    if (this.#path === undefined) return
    try {
      await writeFile(`${this.#path}.new`, `${JSON.stringify(this.#state, null, 2)}\n`)
      await rename(`${this.#path}.new`, this.#path)
    } catch (error) {
      const what = `${this.#path}, which a stopped run is gone on from, cannot be written`
      throw failure(`${what} (${errorCode(error) ?? 'unknown'}); without -o, results go to standard output`, error)
    }
  }

  /** The job was removed or cancelled: the next run uploads the list again. */
  async forgetJob(): Promise<void> {
    const { job: _job, uploadKey: _uploadKey, ...state } = this.#state
    this.#state = state
    await this.keep()
  }

  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(this.#path, { force: true })
  }
}

export function termsOf(options: BulkOptions, sources: readonly Source[]): RunTerms {
  const { url, inputFormat, column, extract, networks, prefix, for: app, format, fields } = options
  const prints = sources.flatMap(({ print }) => print ?? [])
  const inputs = sources.length > 0 && prints.length === sources.length ? prints : null
  // Undefined where it is the default, so that runs of older releases, which did not tell it, are the same.
  const changedNetworks = networks === 'first' ? networks : undefined
  return { url, inputs, inputFormat, column, extract, networks: changedNetworks, prefix, app, format, fields }
}

/** Checks that a run can continue what another one has left. @throws CommandFault with exit code 2 */
export function requireSame(before: RunState, options: BulkOptions, sources: readonly Source[]): void {
  const { job, output = '' } = options
  const now = termsOf(options, sources)
  const changed = differences(before, now, job)
  const again = '--no-resume begins anew'
  if (changed.length > 0) {
    throw usageFault(
      `${statePathOf(output)} is of another run: ${changed.join(', ')}. The same command goes on with it; ${again}`,
    )
  }
  if (job !== undefined || before.inputs !== null) return
  const fetch = before.job === undefined ? '' : `; --job ${before.job} fetches the rest`
  throw usageFault(`what comes by a pipe cannot be read again${fetch}; ${again}`)
}

/** How what an interrupted run has written can be continued, in words; undefined where there is nothing. */
export function howToContinue(
  { now: { job }, isKept }: StateFile,
  options: BulkOptions,
  sources: readonly Source[],
  done: number,
): string | undefined {
  const isOneTime = options.job === undefined && sources.some(({ print }) => print === undefined)
  const output = options.output === undefined ? '' : ` -o ${options.output}`
  if (job !== undefined && (isOneTime || !isKept)) return `to fetch its results: --job ${job}${output}`
  if (!isKept || (done === 0 && job === undefined)) return undefined
  if (isOneTime) return 'what comes by a pipe cannot be read again, so that this run cannot be gone on with'
  return `${done} lines are written; the same command again goes on behind them`
}

const optionOf = {
  url: '--url',
  format: '--format',
  fields: '--fields',
  column: '--column',
  inputFormat: '--input-format',
  extract: '--extract',
  networks: '--networks',
  prefix: '--prefix',
  app: '--for',
} as const

/** @param job that is fetched: its list and fields were settled when it was made */
function differences(before: RunState, now: RunTerms, job: string | undefined): readonly string[] {
  const names = job === undefined ? (Object.keys(optionOf) as (keyof typeof optionOf)[]) : (['url', 'format'] as const)
  const changed = names
    // A run of an older release does not tell what it could not be told.
    .filter((name) => JSON.stringify(before[name] ?? null) !== JSON.stringify(now[name] ?? null))
    .map((name) => `${optionOf[name]} was another`)
  if (job === undefined) return [...inputDifferences(before.inputs, now.inputs), ...changed]
  return before.job === job ? changed : ['the job was another', ...changed]
}

function inputDifferences(before: RunTerms['inputs'], now: RunTerms['inputs']): readonly string[] {
  if (before === null || now === null) return before === now ? [] : ['the list was another']
  if (pathsOf(before) !== pathsOf(now)) return ['the list was another']
  const changed = now.filter((print, at) => JSON.stringify(print) !== JSON.stringify(before[at]))
  return changed.map(({ path }) => `${path} has changed`)
}

const pathsOf = (prints: readonly FilePrint[]): string => JSON.stringify(prints.map(({ path }) => path))

function isState(value: unknown): value is RunState {
  if (!isRecord(value)) return false
  const { version, way, url, inputs, job } = value
  const isWay = way === 'job' || way === 'batch'
  const hasInputs = inputs === null || (Array.isArray(inputs) && inputs.every(isRecord))
  return version === 1 && isWay && typeof url === 'string' && hasInputs && /^(string|undefined)$/.test(typeof job)
}
