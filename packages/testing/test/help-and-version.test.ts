import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { compileCache } from '../src/compile-cache.ts'
import { olderNode } from '../src/older-node.ts'
import { describe, expect, test } from '@jest/globals'

const repository = new URL('../../../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8')) as { version: string }

function run(program: string, option: string, node = process.execPath) {
  const entry = fileURLToPath(new URL(program, repository))
  const { status, stdout, stderr } = spawnSync(node, [entry, option], {
    cwd: tmpdir(),
    env: compileCache,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test.each([
  ['services/lookup/src/main.ts', 'ipfleet-lookup'],
  ['services/edge/src/main.ts', 'ipfleet-edge'],
  ['services/egress/src/main.ts', 'ipfleet-egress'],
  ['services/egress/src/hash-password.ts', 'ipfleet-hash-password'],
  ['services/bulk/src/main.ts', 'ipfleet-bulk'],
  ['packages/cli/src/ipfleet.ts', 'ipfleet'],
  ['packages/testing/src/fleet-command.ts', 'ipfleet-fleet'],
  ['packages/bench/src/bench-command.ts', 'ipfleet-bench'],
])('%s has --version, and --help that tells of it', (program, name) => {
  expect(run(program, '--version')).toEqual({ status: 0, stdout: `${name} ${version}\n`, stderr: '' })
  expect(run(program, '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--version'), stderr: '' })
})

const withOlderNode = olderNode === undefined ? describe.skip : describe

withOlderNode('with an older Node', () => {
  test.each(['lookup', 'edge', 'egress', 'bulk'])(
    '%s says in one line which one it needs, and how to get it',
    (service) => {
      const { status, stdout, stderr } = run(`services/${service}/src/main.ts`, '--check', olderNode)
      expect([status, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/^This needs Node 26 or newer, and is run by v\d+.*`npm start`.*\n$/)
    },
  )
})
