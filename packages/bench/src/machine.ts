import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { promisify } from 'node:util'
import { findOnPath } from './find-on-path.ts'

const execute = promisify(execFile)

/** What tells the version of each program that is measured with, or next to. */
const programs: readonly (readonly [name: string, option: string])[] = [
  ['redis-server', '--version'],
  ['nginx', '-v'],
  ['haproxy', '-v'],
  ['squid', '-v'],
  ['wrk', '-v'],
]
const packages = ['http-proxy-3', 'proxy-chain']

/** On what the benchmarks run: processor, memory, system, and the versions of what is compared. */
export async function machineText(): Promise<string> {
  const processor = cpus()[0]?.model.trim() ?? 'an unknown processor'
  const gigabytes = Math.round(totalmem() / 1024 ** 3)
  const installed = await Promise.all(programs.map(([name, option]) => versionOf(name, option)))
  return [
    `${availableParallelism()} cores (${processor}), ${gigabytes} GB`,
    `${type()} ${release()}`,
    `Node ${process.versions.node}`,
    ...installed.filter((text) => text !== undefined),
    ...packages.map(packageVersion),
  ].join(', ')
}

/** Undefined where the program is not installed. */
async function versionOf(name: string, option: string): Promise<string | undefined> {
  const path = findOnPath(name)
  if (path === undefined) return undefined
  // wrk 4 tells it with exit code 1.
  const { stdout, stderr } = await execute(path, [option]).catch((error: { stdout: string; stderr: string }) => error)
  const [version] = /\d+\.\d+(?:\.\d+)?/.exec(`${stdout}${stderr}`) ?? []
  return version === undefined ? name : `${name} ${version}`
}

function packageVersion(name: string): string {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return `${name} ${(JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version}`
}
