import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const repository = new URL('../../../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8')) as { version: string }

function run(program: string, option: string) {
  const entry = fileURLToPath(new URL(program, repository))
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, option], {
    cwd: tmpdir(),
    env: {},
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
  ['services/bulk/src/cli/bulk-command.ts', 'ipfleet-bulk-command'],
  ['packages/testing/src/fleet-command.ts', 'ipfleet-fleet'],
  ['packages/bench/src/bench-command.ts', 'ipfleet-bench'],
])('%s has --version, and --help that tells of it', (program, name) => {
  expect(run(program, '--version')).toEqual({ status: 0, stdout: `${name} ${version}\n`, stderr: '' })
  expect(run(program, '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--version'), stderr: '' })
})
