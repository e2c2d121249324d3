/** `npm run offline-db -- city`: fetches databases that are too large to come with the program. */

import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { exitCodeOf, onStopSignals } from '@ipfleet/core/stop-signals.ts'
import { cityFilesIn, cityPackage } from './city-database.ts'
import { openMmdb } from './offline-db.ts'

const help = `npm run offline-db -- city [--dir DIRECTORY]

Fetches cities, regions and coordinates of all addresses (DB-IP City Lite, CC BY 4.0): 61 MB from the registry of
npm, 128 MB on the disk and in the memory of each replica. Without OFFLINE_DB and OFFLINE_DB_URL a replica uses
them from its next start on.

  --dir DIRECTORY  where to: the OFFLINE_DB_DIR of the replicas (default: node_modules/.cache/offline-db)
`

async function main(): Promise<void> {
  const options = {
    dir: { type: 'string', default: 'node_modules/.cache/offline-db' },
    help: { type: 'boolean' },
  } as const
  const stop = new AbortController()
  onStopSignals({
    onFirst(signal) {
      process.exitCode = exitCodeOf(signal)
      stop.abort()
    },
    onAgain: (signal) => process.exit(exitCodeOf(signal)),
  })
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options })
    if (values.help) return void process.stdout.write(help)
    if (positionals.join(' ') === 'city') return await fetchCity(resolve(values.dir), stop.signal)
    fail('what it fetches is `city`; --help says more')
  } catch (error) {
    if (!stop.signal.aborted) fail(error instanceof Error ? error.message : String(error))
  }
}

async function fetchCity(directory: string, signal: AbortSignal): Promise<void> {
  if (cityFilesIn(directory).length === cityPackage.files.length) return say(`they are in ${directory} already`)
  mkdirSync(directory, { recursive: true })
  // In the same file system, so that files can be renamed.
  const scratch = mkdtempSync(join(directory, 'fetching-'))
  try {
    const archive = await packed(scratch, signal)
    execFileSync('tar', ['-xzf', archive, '-C', scratch])
    const fetched = cityPackage.files.map((name) => ({ name, from: join(scratch, 'package', name) }))
    // All before the first is in its place.
    const dates = fetched.map(({ from }) => openMmdb(from).builtAt.toISOString().slice(0, 10))
    for (const { name, from } of fetched) put(from, join(directory, name))
    say(`data of ${dates[0]} are in ${directory}; replicas use them from their next start on`)
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

/** npm knows registries, proxies and tokens. Its cache is in the scratch directory, so that progress can be seen. */
async function packed(scratch: string, signal: AbortSignal): Promise<string> {
  const { spec, bytes, integrity } = cityPackage
  say(`fetching ${spec}`)
  const args = ['pack', spec, '--silent', '--cache', join(scratch, 'cache'), '--pack-destination', scratch]
  const child = spawn('npm', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  signal.addEventListener('abort', () => child.kill())
  const name = text(child.stdout)
  const showing = setInterval(
    () => say(`${megabytes(Math.min(sizeOf(scratch), bytes))} of ${megabytes(bytes)} MB`),
    1000,
  )
  const [code] = await once(child, 'close')
  clearInterval(showing)
  signal.throwIfAborted()
  if (code !== 0)
    throw new Error('npm cannot fetch it. Is this machine online? `npm config get registry` is where it asks')
  const archive = join(scratch, (await name).trim())
  if (`sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}` === integrity) return archive
  throw new Error('what came is not what this release expects; nothing was changed')
}

function sizeOf(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names.reduce((sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

/** On the disk before it has its name. */
function put(from: string, to: string): void {
  const file = openSync(from, 'r')
  fsyncSync(file)
  closeSync(file)
  renameSync(from, to)
}

const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)

function say(line: string): void {
  process.stdout.write(`offline-db: ${line}\n`)
}

function fail(line: string): void {
  process.stderr.write(`offline-db: ${line}\n`)
  process.exitCode = 1
}

await main()
