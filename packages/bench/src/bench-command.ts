import { parseArgs } from 'node:util'
import { benchBatch } from './batch-bench.ts'
import { benchCommands } from './commands-bench.ts'
import { benchHit } from './hit-bench.ts'
import { batchTable, commandsTable, hitTable, rssTable } from './report.ts'
import { benchRss } from './rss-bench.ts'

const help = `Measures a lookup replica next to its peers, on loopback only.

  npm run bench -- hit        CPU time per answer from memory, next to nginx proxy_cache if it is installed
  npm run bench -- rss        memory with many entries and many open connections
  npm run bench -- commands   Redis commands per answer from Redis and per cold miss
  npm run bench -- batch      items per second of batches, from Redis and from upstream

  --json               the numbers instead of a table

hit, which is loaded by wrk if it is installed:
  --rounds N           default 5; the servers take turns
  --seconds N          of a round; default 4
  --connections N      default 64
  --entries N          different addresses asked for; default 1000
  --node-flag FLAG     for the replica, such as --node-flag=--max-semi-space-size=32; may be repeated
  --nginx-buffer SIZE  lets nginx collect its access log, such as 4k; default: a write per line, as nginx does

rss:
  --entries N          default 10000
  --connections N      open and idle; default 1000
  --node-flag FLAG     as above

batch:
  --batches N          default 100
  --items N            of one batch; default 1000
  --clients N          batches at the same time; default 4

commands:
  --requests N         of each kind; default 100
`

const options = {
  json: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  connections: { type: 'string' },
  entries: { type: 'string' },
  requests: { type: 'string' },
  batches: { type: 'string' },
  items: { type: 'string' },
  clients: { type: 'string' },
  'node-flag': { type: 'string', multiple: true },
  'nginx-buffer': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

type NumberOption = Exclude<keyof typeof options, 'json' | 'help' | 'node-flag' | 'nginx-buffer'>

/** Runs what the command line asks for. Throws a RangeError or a TypeError for what it does not understand. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const [name] = positionals
  if (values.help || name === undefined) {
    process.stdout.write(help)
    return
  }
  const number = (option: NumberOption, otherwise: number) => wholeNumber(option, values[option] ?? String(otherwise))
  const print = (report: object, table: string): void => {
    process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : table)
  }
  switch (name) {
    case 'hit': {
      const report = await benchHit({
        rounds: number('rounds', 5),
        seconds: number('seconds', 4),
        connections: number('connections', 64),
        entries: number('entries', 1000),
        nodeFlags: values['node-flag'] ?? [],
        nginxLogBuffer: values['nginx-buffer'],
        progress: (line) => process.stderr.write(`${line}\n`),
      })
      print(report, hitTable(report))
      return
    }
    case 'rss': {
      const report = await benchRss({
        entries: number('entries', 10_000),
        connections: number('connections', 1000),
        nodeFlags: values['node-flag'] ?? [],
      })
      print(report, rssTable(report))
      return
    }
    case 'commands': {
      const report = await benchCommands({ requests: number('requests', 100) })
      print(report, commandsTable(report))
      return
    }
    case 'batch': {
      const report = await benchBatch({
        batches: number('batches', 100),
        items: number('items', 1000),
        clients: number('clients', 4),
      })
      print(report, batchTable(report))
      return
    }
    default:
      throw new RangeError(`There is no benchmark '${name}'; --help lists them`)
  }
}

function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new RangeError(`--${option} takes a whole number over 0, not '${text}'`)
  return Number(text)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof RangeError || error instanceof TypeError ? 2 : 1
}
