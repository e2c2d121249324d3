import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

let cwd = ''
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'settings-'))
  writeFileSync(join(cwd, '.env'), 'PROT=1\n')
})
afterAll(() => rmSync(cwd, { recursive: true }))

function run(argv: readonly string[], env: Record<string, string> = {}) {
  const program = fileURLToPath(new URL('./fixture-program.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...argv], { cwd, env, encoding: 'utf8' })
  return { status, stdout, stderr }
}

const warning = '.env line 1: PROT is not a setting; did you mean PORT?\n'

test('a program with valid settings runs, and warnings go to stderr', () => {
  expect(run([], { PORT: '81' })).toEqual({ status: 0, stdout: 'port 81\n', stderr: warning })
})

test('--help prints to stdout and ends with 0', () => {
  expect(run(['--help'])).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('TCP port to listen on'),
    stderr: '',
  })
})

test('--check ends with 0 when the settings are valid and with 2 when they are not', () => {
  expect(run(['--check'])).toEqual({ status: 0, stdout: 'fixture: settings are valid\n', stderr: warning })
  expect(run(['--check'], { PORT: 'x' })).toMatchObject({ status: 2, stdout: '' })
})

test('faults go to stderr, all of them, and end the process with 2', () => {
  const { status, stdout, stderr } = run([], { PORT: 'x', TOKEN_FILE: 'missing' })
  expect([status, stdout]).toEqual([2, ''])
  expect(stderr).toContain('2 faults')
  expect(stderr).toContain('PORT: got "x"')
  expect(stderr).toContain('TOKEN_FILE: the file missing')
})
