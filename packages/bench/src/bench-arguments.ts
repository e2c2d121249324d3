import { parseArgs } from 'node:util'

const options = {
  json: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  connections: { type: 'string' },
  entries: { type: 'string' },
  addresses: { type: 'string' },
  requests: { type: 'string' },
  tunnels: { type: 'string' },
  batches: { type: 'string' },
  items: { type: 'string' },
  clients: { type: 'string' },
  workers: { type: 'string' },
  lines: { type: 'string' },
  distinct: { type: 'string' },
  replicas: { type: 'string' },
  'latency-ms': { type: 'string' },
  live: { type: 'string' },
  'body-bytes': { type: 'string' },
  'with-limit': { type: 'boolean', default: false },
  'haproxy-log': { type: 'boolean', default: false },
  'node-flag': { type: 'string', multiple: true },
  'nginx-buffer': { type: 'string' },
  against: { type: 'string' },
  flood: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const

type NumberOption = Exclude<
  keyof typeof options,
  'json' | 'help' | 'version' | 'against' | 'with-limit' | 'haproxy-log' | 'node-flag' | 'nginx-buffer' | 'flood'
>

export interface BenchArguments {
  /** Of the benchmark. */
  readonly name: string | undefined
  readonly help: boolean
  readonly version: boolean
  readonly json: boolean
  readonly withLimit: boolean
  readonly haproxyLog: boolean
  readonly nodeFlags: readonly string[]
  readonly floods: readonly string[]
  readonly nginxLogBuffer: string | undefined
  /** The folder of another build. */
  readonly against: string | undefined
  /** Throws a RangeError when it was given as anything but a whole number over 0. */
  readonly number: (option: NumberOption, otherwise: number) => number
}

/** The words of a command line. Throws a TypeError for an option that does not exist. */
export function benchArguments(words: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true })
  return {
    name: positionals[0],
    help: values.help,
    version: values.version,
    json: values.json,
    withLimit: values['with-limit'],
    haproxyLog: values['haproxy-log'],
    nodeFlags: values['node-flag'] ?? [],
    floods: values.flood ?? [],
    nginxLogBuffer: values['nginx-buffer'],
    against: values.against,
    number: (option, otherwise) => {
      const text = values[option]
      return text === undefined ? otherwise : wholeNumber(option, text)
    },
  }
}

function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new RangeError(`--${option} takes a whole number over 0, not '${text}'`)
  return Number(text)
}
