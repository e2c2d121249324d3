import { Command, CommanderError, Option } from 'commander'
import { version } from '@ipfleet/settings/version.ts'
import { usageFault } from './command-fault.ts'
import {
  type BulkOptions,
  bulkOptions,
  type CommandLine,
  fieldsIn,
  type GivenOptions,
  listsIn,
  outputFormats,
  tokenIn,
} from './command-options.ts'
import { type GrepOptions, rangeForms, type RangesOptions } from './local-commands.ts'
import { inputForms } from './list-form.ts'

export type Invocation =
  /** Help, or the version. */
  | { readonly command: 'text'; readonly text: string }
  | { readonly command: 'bulk' | 'lookup' | 'summarize'; readonly options: BulkOptions }
  | { readonly command: 'grep'; readonly options: GrepOptions }
  | { readonly command: 'ranges'; readonly options: RangesOptions }

/** @throws CommandFault with exit code 2; its message shows no values, which may be secrets */
export function parseCommandLine(argv: readonly string[], line: CommandLine): Invocation {
  let text = ''
  let found: Invocation | undefined
  const program = new Command('ipfleet')
    .description('Looks up lists of IP addresses by a fleet, or takes addresses out of text.')
    .version(`ipfleet ${version}`, '--version', 'prints the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand('help [command]', 'this text, or that of a command')
    .configureOutput({ writeOut: (piece) => (text += piece), writeErr: () => undefined })
    .configureHelp({ helpWidth: 118 })
    .exitOverride()
  const on = (invocation: Invocation): void => void (found = invocation)
  for (const add of [addBulk, addLookup, addSummarize, addGrep, addRanges]) add(program, line, on)
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { command: 'text', text }
    if (error.code === 'commander.help')
      throw usageFault('a command is missing: bulk, lookup, summarize, grep or ranges')
    throw usageFault(
      error.message
        .replace(/^error: /, '')
        .replace(/=[^']*'/, "'")
        .replaceAll('\n', ' '),
    )
  }
  if (found === undefined) throw usageFault('a command is missing')
  return found
}

type Add = (program: Command, line: CommandLine, on: (invocation: Invocation) => void) => void

/** An option with a value, which is given once. */
function option(flags: string, description: string, read: (text: string) => unknown = String): Option {
  const flag = flags.split(/[ ,]+/).find((word) => word.startsWith('--'))
  return new Option(flags, description).argParser((text: string, before: unknown) => {
    if (before !== undefined) throw usageFault(`${flag} is there twice`)
    if (text === '' || /^-./.test(text)) throw usageFault(`${flag} needs a value`)
    return read(text)
  })
}

function choice(flags: string, description: string, words: readonly string[]): Option {
  return option(flags, description, (text) => {
    if (words.includes(text)) return text
    throw usageFault(`${flags.split(' ')[0] ?? flags} is one of ${words.join(', ')}`)
  })
}

function addInputOptions(command: Command): Command {
  return command
    .optionsGroup('Input:')
    .addOption(choice('--input-format <form>', 'lines, csv, ndjson or json, whatever the content', inputForms))
    .addOption(
      option('--column <name>', 'with the addresses: a name or a number from 1, of objects a path (client.ip)'),
    )
    .addOption(
      choice('--extract <which>', 'out of other text: first or all, which makes a row for each', ['first', 'all']),
    )
    .addOption(choice('--networks <how>', 'expand (default, up to 65536 addresses each) or first', ['expand', 'first']))
}

function addOutputOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .addOption(option('-o, --output <file>', 'where the results go; one that is there is kept'))
    .addOption(
      choice(
        '--format <form>',
        'ndjson, csv, tsv, json or parquet; default: by the name of the output, else ndjson',
        outputFormats,
      ),
    )
    .addOption(option('--fields <a,b.c>', 'only these members of a record', fieldsIn))
}

function addFleetOptions(command: Command): Command {
  return command
    .optionsGroup('Where it is asked:')
    .addOption(
      option(
        '--url <url>',
        'of the fleet, default http://localhost:8080 (IPFLEET_URL). Without it, and where no fleet answers, a fleet of ' +
          'one is started for the time of the run, with IPINFO_KEYS or the embedded database',
      ),
    )
    .addOption(option('--token <token>', 'of a client of that fleet (better: IPFLEET_TOKEN, or _FILE)', tokenIn))
}

const bulkNotes = `
Input is read by its content: lines, CSV (commas, semicolons, tabs, bars; titles and comments before the header), NDJSON,
JSON, logs, Parquet; .gz, .zst, .br, .bz2, .xz and .zip with one file are unpacked. Rows of tables and objects keep what
they have. If the fleet takes jobs, the list is handed over as one; else it is asked in batches. An interrupted run leaves
FILE.ipfleet.json beside its output: the same command again goes on where it ended.

Examples:
  ipfleet bulk ips.txt -o out.ndjson
  ipfleet bulk visits.csv.gz --fields country,org -o visits-out.csv
  ipfleet bulk access.log --extract all --fields country --for excel -o hits.csv
  cut -d' ' -f1 access.log | ipfleet bulk - --json | head

Exit codes: 0 every input has its result, those that are no addresses have an error; 1 it failed, or nothing is an
address; 2 the command line or the files are not as they should be; 3 every input has its line, but some of them say that
a look-up failed; 130 Ctrl-C, 143 SIGTERM.
`

const addBulk: Add = (program, line, on) => {
  const command = program
    .command('bulk')
    .summary('look up lists of any length')
    .description('Looks up lists of addresses: one result for each input, in the order of the inputs.')
    .argument('[files...]', 'lists; none or -: standard input')
  addOutputOptions(addInputOptions(command))
    .addOption(option('--prefix <text>', 'of the added columns; default: ip_ before those that the list has too'))
    .addOption(choice('--for <app>', 'excel: UTF-8 is recognised, 02139 keeps its zero, no formulas run', ['excel']))
    .option('--force', 'overwrites an output file that is there')
  addFleetOptions(command)
    .addOption(option('--job <id>', 'uploads nothing, but fetches the results of a job that is there'))
    .option('--cancel-on-exit', 'Ctrl-C cancels the job too')
    .version(`ipfleet ${version}`, '--version', 'prints the version')
    .optionsGroup('Progress:')
    .option('--resume', 'goes on, and refuses to begin anew')
    .option('--no-resume', 'begins anew')
    .option('--json', 'progress and summary on standard error as JSON, one object a line')
    .option('--quiet', 'nothing on standard error but what went wrong')
    .addHelpText('after', bulkNotes)
    .action((files: string[], given: GivenOptions) => {
      const { resume, ...rest } = given
      // Commander has --no-resume's opposite as its default.
      const isGiven = command.getOptionValueSource('resume') === 'cli'
      const options = bulkOptions(files, isGiven && resume !== undefined ? { ...rest, resume } : rest, line)
      on({ command: 'bulk', options })
    })
}

const addLookup: Add = (program, line, on) => {
  const command = program
    .command('lookup')
    .summary('look up a few addresses')
    .description('Looks up the addresses of the command line: one result for each.')
    .argument('<addresses...>', 'addresses, networks and ranges')
  addFleetOptions(addOutputOptions(command))
    .addHelpText('after', '\nExample:\n  ipfleet lookup 8.8.8.8 1.1.1.1 --fields city,org --format csv\n')
    .action((addresses: string[], given: GivenOptions) => {
      const options = bulkOptions(['-'], { ...given, quiet: true, inputFormat: 'lines' }, line)
      on({ command: 'lookup', options: { ...options, addresses } })
    })
}

const addSummarize: Add = (program, line, on) => {
  const command = program
    .command('summarize')
    .summary('count what a list has, by country, network …')
    .description('Looks a list up and counts its addresses, by country, city, network, kind and more, as JSON.')
    .argument('[files...]', 'lists; none or -: standard input')
  addFleetOptions(addInputOptions(command))
    .optionsGroup('Output:')
    .addOption(option('-o, --output <file>', 'where the summary goes; one that is there is kept'))
    .option('--force', 'overwrites an output file that is there')
    .option('--quiet', 'nothing on standard error but what went wrong')
    .addHelpText('after', '\nExample:\n  ipfleet summarize access.log --extract all\n')
    .action((files: string[], given: GivenOptions) => {
      const options = bulkOptions(files, { ...given, resume: false, format: 'ndjson' }, line)
      on({ command: 'summarize', options: { ...options, sumsUp: true } })
    })
}

const addGrep: Add = (program, { stdinIsTerminal }, on) => {
  program
    .command('grep')
    .summary('take addresses out of any text')
    .description('Prints the addresses in any text, one a line. Asks nobody. Ends with 1 where there are none.')
    .argument('[files...]', 'text, packed or not; none or -: standard input')
    .option('-4, --ipv4', 'only IPv4')
    .option('-6, --ipv6', 'only IPv6')
    .option('-x, --exclude-reserved', 'without those that no network owns, such as 10.0.0.1')
    .option('-u, --unique', 'each once')
    .addHelpText('after', '\nExample:\n  ipfleet grep access.log -u | ipfleet bulk -o clients.csv\n')
    .action((files: string[], given: Omit<GrepOptions, 'inputs'>) => {
      on({ command: 'grep', options: { ...given, inputs: listsIn(files, stdinIsTerminal) } })
    })
}

const addRanges: Add = (program, _line, on) => {
  program
    .command('ranges')
    .summary('convert networks and ranges')
    .description('Writes networks and ranges as the fewest networks, as ranges, or as addresses. Asks nobody.')
    .argument('[ranges...]', 'such as 9.0.0.0/24 and 9.0.0.1-9.0.0.9; none or -: lines of standard input')
    .addOption(choice('--to <form>', 'networks (default), ranges or addresses', rangeForms))
    .addHelpText('after', '\nExample:\n  ipfleet ranges 9.0.0.1-9.0.0.9 --to networks\n')
    .action((ranges: string[], { to = 'networks' }: { readonly to?: RangesOptions['to'] }) => {
      on({ command: 'ranges', options: { ranges, to } })
    })
}
