/** `npm run fleet`: a whole fleet on this machine, until Ctrl-C. */

import { parseArgs, styleText } from 'node:util'
import { exitCodeOf, onStopSignals } from '@ipfleet/core/stop-signals.ts'
import { version } from '@ipfleet/settings/version.ts'
import { startFleet, type Fleet, type FleetOptions } from './fleet.ts'

const help = `Usage: npm run fleet -- [options]

Runs lookup replicas, one Redis and a fake IPinfo as local processes until Ctrl-C.

  --replicas N      how many replicas (default 3)
  --port N          port of the first replica; the others follow (default 18080)
  --keys N          API keys that the fake knows and the replicas share (default 3)
  --latency-ms N    how long the fake takes over an answer, in ms (default 20)
  --redis-port N    port of Redis (default: a free one)
  --help            this text
  --version         the version

Redis is redis-server or valkey-server from the PATH; else a container, if a Docker engine answers; else
Debian's package, which is installed when run as root.
`

const colours = ['cyan', 'magenta', 'green', 'yellow', 'blue', 'cyanBright', 'magentaBright', 'greenBright'] as const

async function main(): Promise<number> {
  let options: FleetOptions | 'help' | 'version'
  try {
    options = parseOptions()
  } catch (error) {
    say(`${messageOf(error)} (--help lists the options)`)
    return 2
  }
  if (options === 'help' || options === 'version') {
    process.stdout.write(options === 'help' ? help : `ipfleet-fleet ${version}\n`)
    return 0
  }
  const stop = stopSignal()
  try {
    const fleet = await startFleet(options, stop)
    return await watch(fleet, stop)
  } catch (error) {
    say(stop.aborted ? 'stopped' : messageOf(error))
    return stop.aborted ? 0 : 1
  }
}

/** Returns the exit code: 0 when asked to stop, 1 when a member ended by itself. */
async function watch(fleet: Fleet, stop: AbortSignal): Promise<number> {
  const first = fleet.replicaUrls[0] ?? ''
  say(`ready: ${fleet.replicaUrls.join(' ')}`)
  say(`jobs: REDIS_URL=${fleet.redisUrl} LOOKUP_URL=${first} npm run jobs`)
  say(
    `edge: echo 'upstreams.backends = ${JSON.stringify(fleet.replicaUrls)}' >fleet.toml; npm run edge -- --config fleet.toml`,
  )
  say(`try: curl ${first.replace('http://', '')}/8.8.8.8    (Ctrl-C stops all)`)
  const asked = new Promise<'asked'>((resolve) => {
    if (stop.aborted) resolve('asked')
    stop.addEventListener('abort', () => resolve('asked'), { once: true })
  })
  const reason = await Promise.race([asked, fleet.broken])
  say(reason === 'asked' ? 'stopping' : `${reason}; stopping the rest`)
  await fleet.stop()
  say('stopped')
  return reason === 'asked' ? 0 : 1
}

/** Aborts at the first signal. A second one, a second or more later, ends this process, and its children with it. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  onStopSignals({ onFirst: () => stop.abort(), onAgain: (signal) => process.exit(exitCodeOf(signal)) })
  return stop.signal
}

function parseOptions(): FleetOptions | 'help' | 'version' {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      replicas: text,
      port: text,
      keys: text,
      'latency-ms': text,
      'redis-port': text,
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
      // For tests: other programs in the members' place.
      'replica-entry': text,
      'fake-entry': text,
    },
  })
  if (values.help === true) return 'help'
  if (values.version === true) return 'version'
  const redisPort = values['redis-port']
  const replicaEntry = values['replica-entry']
  const fakeEntry = values['fake-entry']
  return {
    replicas: whole('--replicas', values.replicas ?? '3', 1, 100),
    port: whole('--port', values.port ?? '18080', 1, 65_436),
    keys: whole('--keys', values.keys ?? '3', 1, 1_000),
    latencyMs: whole('--latency-ms', values['latency-ms'] ?? '20', 0, 60_000),
    ...(redisPort === undefined ? {} : { redisPort: whole('--redis-port', redisPort, 1, 65_535) }),
    ...(replicaEntry === undefined ? {} : { replicaEntry }),
    ...(fakeEntry === undefined ? {} : { fakeEntry }),
    print,
  }
}

function whole(option: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new Error(`${option} is "${text}"; allowed are whole numbers from ${min} to ${max}`)
}

const members = new Map<string, (typeof colours)[number]>()

/** One line of a member's log behind its name, in the member's colour unless NO_COLOR or a pipe says otherwise. */
function print(member: string, line: string): void {
  const colour = members.get(member) ?? colours[members.size % colours.length] ?? 'cyan'
  members.set(member, colour)
  process.stdout.write(`${styleText(colour, `${member.padEnd(9)} |`)} ${line}\n`)
}

function say(line: string): void {
  process.stdout.write(`${styleText('bold', 'fleet     |')} ${line}\n`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

process.exitCode = await main()
