import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from '@jest/globals'
import { olderNode } from '../src/older-node.ts'

const repository = fileURLToPath(new URL('../../../', import.meta.url))

/** What runs before `npm start`, with what npm tells it of the command line. */
const setup = (script: string, options: Readonly<Record<string, string>>) => {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], npm_lifecycle_event: script, ...options }
  const { status, stderr } = spawnSync(process.execPath, ['.ci/setup.mjs'], { cwd: repository, env, encoding: 'utf8' })
  return { status, stderr }
}

test.each([
  ['prestart', { npm_config_check: 'true' }, '--check', '`npm start -- --check …`'],
  ['preedge', { npm_config_config: 'proxy.toml' }, '--config', '`npm run edge -- --config …`'],
  [
    'prefleet',
    { npm_config_replicas: 'true', npm_config_latency_ms: '5' },
    '--replicas, --latency-ms',
    '`npm run fleet -- --replicas …`',
  ],
  ['prebulk', { npm_config_o: 'out.csv' }, '-o', '`npm run bulk -- -o …`'],
] as const)('%s does not go on when npm has kept options: %j', (script, options, kept, example) => {
  const { status, stderr } = setup(script, options)
  expect([status, stderr]).toEqual([
    1,
    `setup: npm has kept ${kept} for itself: options follow \`--\`, as in ${example}\n`,
  ])
})

test('options of npm, and scripts that take none, are left alone', () => {
  expect(setup('prestart', { npm_config_json: 'true', npm_config_loglevel: 'silent' })).toEqual({
    status: 0,
    stderr: '',
  })
  expect(setup('setup', { npm_config_check: 'true' })).toEqual({ status: 0, stderr: '' })
})

test.each(['where npm start does', 'where NODE_COMPILE_CACHE says'])(
  'the command ipfleet keeps compiled code %s',
  (where) => {
    const own = mkdtempSync(join(tmpdir(), 'ipfleet-compiled-'))
    try {
      const given = where.startsWith('where N') ? { NODE_COMPILE_CACHE: own } : {}
      const env = { PATH: '/usr/bin:/bin', NODE_DEBUG_NATIVE: 'COMPILE_CACHE', ...given }
      const { stderr } = spawnSync(join(repository, 'node_modules/.bin/ipfleet'), ['--version'], {
        env,
        encoding: 'utf8',
      })
      const folder = given.NODE_COMPILE_CACHE ?? `${repository}node_modules/.cache/node`
      expect(/resolved path (\S+)/.exec(stderr)?.[1]).toBe(folder)
    } finally {
      rmSync(own, { recursive: true })
    }
  },
)

const withOlderNode = olderNode === undefined ? describe.skip : describe

withOlderNode('with an older Node on the PATH', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ipfleet-link-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('the command ipfleet runs on the Node beside it, by a link too', () => {
    symlinkSync(join(repository, 'node_modules/.bin/ipfleet'), join(folder, 'ipfleet'))
    symlinkSync(olderNode ?? '', join(folder, 'node'))
    const env = { PATH: `${folder}:/usr/bin:/bin` }
    const { status, stdout, stderr } = spawnSync(join(folder, 'ipfleet'), ['--version'], { env, encoding: 'utf8' })
    expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(/^ipfleet \d/), ''])
  })
})
