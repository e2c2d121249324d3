import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { spawnGuarded } from '../src/service-process-child.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const fixtures = fileURLToPath(new URL('fixtures/jest', import.meta.url))
const source = fileURLToPath(new URL('../src', import.meta.url))

/** Runs jest on the fixtures with the wiring of this repository and returns what it wrote, line by line. */
async function runJest(env: Readonly<Record<string, string>>): Promise<{ code: number | null; lines: string[] }> {
  const config = {
    rootDir: fixtures,
    testMatch: ['<rootDir>/*.fixture.ts'],
    transform: {},
    extensionsToTreatAsEsm: ['.ts'],
    globalSetup: `${source}/jest-global-setup.ts`,
    reporters: ['default', `${source}/closing-line-reporter.ts`],
  }
  const flags = ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--config', JSON.stringify(config)]
  const jest = await spawnGuarded('/bin/sh', {
    // One pipe for both streams, so that the order is the one that a reader sees.
    args: ['-c', 'exec "$0" "$@" 2>&1', process.execPath, ...flags],
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...env },
    cwd: root,
  })
  const lines: string[] = []
  jest.onLine((line) => lines.push(line))
  const { code } = await jest.exited
  return { code, lines }
}

test('a run says where its Redis comes from and ends with the counts alone on a line', async () => {
  const { code, lines } = await runJest({ IPFLEET_TEST_REDIS: process.env['IPFLEET_TEST_REDIS'] ?? '' })
  expect(lines.filter((line) => line.startsWith('Redis for tests: '))).toHaveLength(1)
  // Two tests pass, one fails, one file does not load, one test is skipped.
  expect(lines.at(-1)).toBe('2 passed, 2 failed, 1 skipped')
  expect(code).toBe(1)
})

test('a run that cannot have its Redis fails with the reason and runs no test', async () => {
  const { code, lines } = await runJest({ IPFLEET_TEST_REDIS: 'podman' })
  expect(lines.join('\n')).toContain('IPFLEET_TEST_REDIS is "podman"; allowed are docker and local')
  expect(lines.join('\n')).not.toContain('passed')
  expect(code).toBe(1)
})
