import { nearName } from '@ipfleet/settings/near-name.ts'
import { extname } from 'node:path'
import { parseArgs } from 'node:util'
import { type Format, formats } from '@ipfleet/ip-lists/result-format.ts'
import { unknownFieldIn } from '@ipfleet/ip-lists/record-fields.ts'
import { usageFault } from './command-fault.ts'
import { inputForms, type ListForm } from './list-form.ts'

export interface BulkOptions {
  /** As they were given; `-` is standard input. */
  readonly inputs: readonly string[]
  /** Of a job whose results are fetched, instead of inputs. */
  readonly job: string | undefined
  /** Undefined: standard output. */
  readonly output: string | undefined
  readonly format: Format
  readonly inputFormat: ListForm | undefined
  readonly column: string | undefined
  /** Which addresses are taken out of other text. */
  readonly extract: 'first' | 'all' | undefined
  readonly networks: 'expand' | 'first'
  /** Of the names of all added columns; undefined: of those alone that the list has too. */
  readonly prefix: string | undefined
  /** The program that is to open the results. */
  readonly app: 'excel' | undefined
  readonly fields: readonly string[] | undefined
  /** Without a slash at its end. */
  readonly url: string
  /** False: it is the default, which is only tried first. */
  readonly urlIsGiven: boolean
  /** A secret. */
  readonly token: string | undefined
  readonly display: 'people' | 'json' | 'quiet'
  readonly resume: 'if-possible' | 'required' | 'never'
  readonly force: boolean
  readonly cancelOnExit: boolean
}

export interface CommandSettings {
  readonly IPFLEET_URL?: string | undefined
  readonly IPFLEET_TOKEN?: string | undefined
}

const defaultUrl = 'http://localhost:8080'

const known = {
  output: { type: 'string', short: 'o' },
  format: { type: 'string' },
  'input-format': { type: 'string' },
  column: { type: 'string' },
  extract: { type: 'string' },
  networks: { type: 'string' },
  prefix: { type: 'string' },
  for: { type: 'string' },
  fields: { type: 'string' },
  url: { type: 'string' },
  token: { type: 'string' },
  job: { type: 'string' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean' },
  resume: { type: 'boolean' },
  'no-resume': { type: 'boolean' },
  force: { type: 'boolean' },
  'cancel-on-exit': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

type Name = keyof typeof known
type Words = { readonly [name in Name]?: string | true }

/**
 * Reads the arguments of the command. Faults show no values: they may be secrets.
 * @param stdinIsTerminal then there is no pipe, and a list has to be named
 * @throws CommandFault with exit code 2
 */
export function commandOptions(
  argv: readonly string[],
  settings: CommandSettings,
  stdinIsTerminal: boolean,
): BulkOptions | 'help' | 'version' {
  const { words, inputs } = readWords(argv)
  if (words.help) return 'help'
  if (words.version) return 'version'
  if (words.json && words.quiet) throw usageFault('--json and --quiet do not go together')
  if (words.resume && words['no-resume']) throw usageFault('--resume and --no-resume do not go together')
  const job = textOf(words, 'job')
  if (job === undefined && inputs.length === 0 && stdinIsTerminal) {
    throw usageFault('no list is given: name a file, or pipe one in')
  }
  if (job !== undefined) refuseBesideJob(words, inputs)
  if (inputs.filter((input) => input === '-').length > 1) throw usageFault('standard input can be read only once')
  const output = textOf(words, 'output')
  if (words.resume && output === undefined) throw usageFault('--resume needs the output file of the run: -o FILE')
  const app = oneOf('for', textOf(words, 'for'), ['excel'])
  const givenUrl = textOf(words, 'url') ?? settings.IPFLEET_URL
  return {
    inputs: inputs.length > 0 || job !== undefined ? inputs : ['-'],
    job,
    output: output === '-' ? undefined : output,
    format: outputFormat(oneOf('format', textOf(words, 'format'), formats), output, app),
    inputFormat: oneOf('input-format', textOf(words, 'input-format'), inputForms),
    column: textOf(words, 'column'),
    extract: oneOf('extract', textOf(words, 'extract'), ['first', 'all']),
    networks: oneOf('networks', textOf(words, 'networks'), ['expand', 'first']) ?? 'expand',
    prefix: textOf(words, 'prefix'),
    app,
    fields: fieldsIn(textOf(words, 'fields')),
    url: fleetUrl(givenUrl ?? defaultUrl),
    urlIsGiven: givenUrl !== undefined,
    token: tokenIn(textOf(words, 'token')) ?? settings.IPFLEET_TOKEN,
    display: words.json ? 'json' : words.quiet ? 'quiet' : 'people',
    resume: words.resume ? 'required' : words['no-resume'] ? 'never' : 'if-possible',
    force: words.force === true,
    cancelOnExit: words['cancel-on-exit'] === true,
  }
}

function readWords(argv: readonly string[]): { words: Words; inputs: readonly string[] } {
  const { tokens } = parseArgs({ args: [...argv], options: known, strict: false, tokens: true })
  const words: Partial<Record<Name, string | true>> = {}
  const inputs: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') inputs.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    if (!isKnown(name)) {
      const near = nearName(name, Object.keys(known))
      throw usageFault(`there is no option ${rawName}${near === undefined ? '' : `; did you mean --${near}?`}`)
    }
    if (name in words) throw usageFault(`${rawName} is there twice`)
    if (known[name].type === 'boolean') {
      if (value !== undefined) throw usageFault(`${rawName} takes no value`)
      words[name] = true
    } else if (value === undefined || value === '' || (/^-./.test(value) && !token.inlineValue)) {
      throw usageFault(`${rawName} needs a value`)
    } else {
      words[name] = value
    }
  }
  return { words, inputs }
}

const isKnown = (name: string): name is Name => Object.hasOwn(known, name)

function textOf(words: Words, name: Name): string | undefined {
  const value = words[name]
  return typeof value === 'string' ? value : undefined
}

function refuseBesideJob(words: Words, inputs: readonly string[]): void {
  if (inputs.length > 0) throw usageFault('--job fetches the results of a job that is there, and takes no list')
  for (const name of ['column', 'extract', 'fields', 'input-format', 'networks', 'prefix'] as const) {
    if (words[name] !== undefined) throw usageFault(`--${name} was settled when the job was made`)
  }
}

function oneOf<const Word extends string>(
  name: Name,
  text: string | undefined,
  allowed: readonly Word[],
): Word | undefined {
  if (text === undefined) return undefined
  const word = allowed.find((one) => one === text)
  if (word !== undefined) return word
  throw usageFault(`--${name} is one of ${allowed.join(', ')}`)
}

/** Extensions of what is not written, and what is near it. */
const unwritten: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['xlsx', 'xls', 'ods'].map((name) => [name, 'a workbook; -o FILE.csv --for excel writes what Excel opens']),
  ),
  ...Object.fromEntries(
    ['parquet', 'arrow', 'feather', 'avro', 'orc'].map((name) => [
      name,
      'columnar; -o FILE.csv, and DuckDB or pandas convert it',
    ]),
  ),
  ...Object.fromEntries(
    ['db', 'sqlite', 'sqlite3', 'duckdb'].map((name) => [name, 'a database; -o FILE.csv, and it imports that']),
  ),
  ...Object.fromEntries(
    ['zip', 'zst', 'br', 'xz', 'bz2', '7z'].map((name) => [
      name,
      'a packing other than .gz; without -o, results can be piped to its program',
    ]),
  ),
}

/** @throws CommandFault for a name that says what is not written */
function outputFormat(given: Format | undefined, output = '', app?: 'excel'): Format {
  const extension = extname(output.replace(/\.gz$/i, '')).slice(1).toLowerCase()
  const what = unwritten[extension]
  if (what !== undefined) throw usageFault(`-o: .${extension} is ${what}; formats are ${formats.join(', ')}`)
  const byName = ['jsonl', 'jsonlines'].includes(extension) ? 'ndjson' : extension === 'tab' ? 'tsv' : extension
  const format = given ?? formats.find((one) => one === byName) ?? (app === 'excel' ? 'csv' : 'ndjson')
  if (app === 'excel' && format !== 'csv' && format !== 'tsv') throw usageFault('--for excel goes with CSV and TSV')
  return format
}

function fieldsIn(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined
  const fields = text.split(',').map((field) => field.trim())
  if (fields.includes('')) throw usageFault('--fields are names with commas between them, such as city,asn.name')
  const unknown = unknownFieldIn(fields)
  if (unknown !== undefined) throw usageFault(`--fields: ${unknown}`)
  return [...new Set(fields)]
}

/** HTTP carries no other characters in a field. */
function tokenIn(text: string | undefined): string | undefined {
  if (text === undefined || /^[!-~]+$/.test(text)) return text
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
