import { type Format, formats } from '@ipfleet/ip-lists/result-format.ts'
import { unknownFieldIn } from '@ipfleet/ip-lists/record-fields.ts'
import { extname } from 'node:path'
import { usageFault } from './command-fault.ts'
import type { ListForm } from './list-form.ts'

/** The service writes all but the last. */
export const outputFormats = [...formats, 'parquet'] as const
export type OutputFormat = Format | 'parquet'

/** The options as the command line gives them, each with its own check done. */
export interface GivenOptions {
  /** Undefined: standard output. */
  readonly output?: string | undefined
  readonly format?: OutputFormat
  readonly inputFormat?: ListForm
  readonly column?: string
  /** Which addresses are taken out of other text. */
  readonly extract?: 'first' | 'all'
  readonly networks?: 'expand' | 'first'
  /** Of the names of all added columns; undefined: of those alone that the list has too. */
  readonly prefix?: string
  /** The program that is to open the results. */
  readonly for?: 'excel'
  readonly fields?: readonly string[]
  readonly url?: string
  /** A secret. */
  readonly token?: string | undefined
  /** Of a job whose results are fetched, instead of inputs. */
  readonly job?: string
  readonly json?: true
  readonly quiet?: true
  readonly resume?: boolean
  readonly force?: true
  readonly cancelOnExit?: true
}

/** What a run looks up, and what becomes of it. */
export interface BulkOptions extends Omit<GivenOptions, 'json' | 'quiet' | 'resume'> {
  /** As they were given; `-` is standard input. */
  readonly inputs: readonly string[]
  /** In place of lists: addresses of the command line. */
  readonly addresses?: readonly string[]
  /** A summary is written in place of the results. */
  readonly sumsUp?: true
  readonly format: OutputFormat
  readonly networks: 'expand' | 'first'
  /** Without a slash at its end. */
  readonly url: string
  /** False: it is the default, which is only tried first. */
  readonly urlIsGiven: boolean
  readonly display: 'people' | 'json' | 'quiet'
  readonly resume: 'if-possible' | 'required' | 'never'
}

export interface CommandSettings {
  readonly IPFLEET_URL?: string | undefined
  readonly IPFLEET_TOKEN?: string | undefined
}

export interface CommandLine {
  readonly settings: CommandSettings
  /** Then there is no pipe, and a list has to be named. */
  readonly stdinIsTerminal: boolean
}

/** A file that it leads to is its caller's: what is in it is kept, and nothing can be put beside it. */
const standardOutput = /^(?:-|\/dev\/(?:stdout|fd\/1)|\/proc\/self\/fd\/1)$/

const defaultUrl = 'http://localhost:8080'

/** Options that agree with each other. @throws CommandFault with exit code 2, whose message shows no values */
export function bulkOptions(
  inputs: readonly string[],
  given: GivenOptions,
  { settings, stdinIsTerminal }: CommandLine,
): BulkOptions {
  const { json, quiet, resume, ...options } = given
  const { job, output } = options
  if (json && quiet) throw usageFault('--json and --quiet do not go together')
  if (job !== undefined) refuseBesideJob(given, inputs)
  if (resume === true && output === undefined) throw usageFault('--resume needs the output file of the run: -o FILE')
  const url = given.url ?? settings.IPFLEET_URL
  return {
    ...options,
    inputs: job === undefined ? listsIn(inputs, stdinIsTerminal) : [],
    output: output !== undefined && standardOutput.test(output) ? undefined : output,
    format: outputFormat(given.format, output, given.for),
    networks: given.networks ?? 'expand',
    url: fleetUrl(url ?? defaultUrl),
    urlIsGiven: url !== undefined,
    token: given.token ?? settings.IPFLEET_TOKEN,
    display: json ? 'json' : quiet ? 'quiet' : 'people',
    resume: resume === undefined ? 'if-possible' : resume ? 'required' : 'never',
  }
}

/** @throws CommandFault with exit code 2 */
export function listsIn(inputs: readonly string[], stdinIsTerminal: boolean): readonly string[] {
  if (inputs.length === 0 && stdinIsTerminal) throw usageFault('no list is given: name a file, or pipe one in')
  if (inputs.filter((input) => input === '-').length > 1) throw usageFault('standard input can be read only once')
  return inputs.length > 0 ? inputs : ['-']
}

function refuseBesideJob(given: GivenOptions, inputs: readonly string[]): void {
  if (inputs.length > 0) throw usageFault('--job fetches the results of a job that is there, and takes no list')
  for (const name of ['column', 'extract', 'fields', 'inputFormat', 'networks', 'prefix'] as const) {
    if (given[name] === undefined) continue
    throw usageFault(`--${name === 'inputFormat' ? 'input-format' : name} was settled when the job was made`)
  }
}

const workbook = 'a workbook; -o FILE.csv --for excel writes what Excel opens'
const columnar = 'columnar; -o FILE.parquet, and DuckDB or pandas convert it'
const database = 'a database; -o FILE.csv, and it imports that'
const packing = 'a packing other than .gz; without -o, results can be piped to its program'

/** Extensions of what is not written, and what is near it. */
const unwritten = new Map(
  Object.entries({
    [workbook]: ['xlsx', 'xls', 'ods'],
    [columnar]: ['arrow', 'feather', 'avro', 'orc'],
    [database]: ['db', 'sqlite', 'sqlite3', 'duckdb'],
    [packing]: ['zip', 'zst', 'br', 'xz', 'bz2', '7z'],
  }).flatMap(([what, extensions]) => extensions.map((extension) => [extension, what] as const)),
)

/** @throws CommandFault for a name that says what is not written */
function outputFormat(given: OutputFormat | undefined, output = '', app?: 'excel'): OutputFormat {
  const extension = extname(output.replace(/\.gz$/i, '')).slice(1).toLowerCase()
  const what = unwritten.get(extension)
  if (what !== undefined) throw usageFault(`-o: .${extension} is ${what}; formats are ${outputFormats.join(', ')}`)
  if (/\.parquet\.gz$/i.test(output)) throw usageFault('-o: Parquet is packed by itself; leave out .gz')
  const byName = ['jsonl', 'jsonlines'].includes(extension) ? 'ndjson' : extension === 'tab' ? 'tsv' : extension
  const format = given ?? outputFormats.find((one) => one === byName) ?? (app === 'excel' ? 'csv' : 'ndjson')
  if (app === 'excel' && format !== 'csv' && format !== 'tsv') throw usageFault('--for excel goes with CSV and TSV')
  return format
}

export function fieldsIn(text: string): readonly string[] {
  const fields = text.split(',').map((field) => field.trim())
  if (fields.includes('')) throw usageFault('--fields are names with commas between them, such as city,asn.name')
  const unknown = unknownFieldIn(fields)
  if (unknown !== undefined) throw usageFault(`--fields: ${unknown}`)
  return [...new Set(fields)]
}

/** HTTP carries no other characters in a field. */
export function tokenIn(text: string): string {
  if (/^[!-~]+$/.test(text)) return text
  throw usageFault('--token holds characters that no token has')
}

/** A password in it would be shown, and be kept in the state file. */
function fleetUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || !/^https?:\/\//i.test(text)) {
    throw usageFault('--url is the URL of a fleet, such as http://localhost:8080')
  }
  if (url.username !== '' || url.password !== '') throw usageFault('--url takes no user name; use IPFLEET_TOKEN')
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') throw usageFault('--url ends with host and port')
  return url.origin
}
