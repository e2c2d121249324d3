import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { symlink } from 'node:fs/promises'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CommandGround } from '@ipfleet/testing/command-ground.ts'
import { runHere } from './run-here.ts'

let harness: CommandGround
beforeAll(async () => {
  harness = await CommandGround.start()
  await harness.write('ips.txt', '8.8.8.8\n')
  await symlink('ips.txt', harness.path('link.ndjson'))
})
afterAll(() => harness[Symbol.asyncDispose]())

test('--help says what it takes, on standard output, and ends with 0', async () => {
  const { code, stdout, stderr } = await harness.run(['--help'])
  expect([code, stderr]).toEqual([0, ''])
  for (const word of ['--output', '--format', '--fields', '--url', '--token', '--resume', '--job', 'Exit codes:']) {
    expect(stdout).toContain(word)
  }
})

test('help tells the same as --help, of a command too', async () => {
  const folder = harness.path('.')
  for (const words of [[], ['bulk'], ['lookup']]) {
    const asked = await runHere([...words, '--help'], { folder })
    expect(await runHere(['help', ...words], { folder })).toEqual(asked)
    expect(asked).toMatchObject({ code: 0, stderr: '' })
  }
})

test('npx finds it in a checkout, and without a command it names them', () => {
  const repository = fileURLToPath(new URL('../../../', import.meta.url))
  const npx = (...words: readonly string[]) =>
    spawnSync('npx', ['--no-install', 'ipfleet', ...words], { cwd: repository, encoding: 'utf8' })
  expect(npx('--version').stdout).toMatch(/^ipfleet \d+\.\d+\.\d+\n$/)
  expect(npx()).toMatchObject({ status: 2, stderr: expect.stringContaining('bulk, lookup, summarize, grep or ranges') })
})

describe('what cannot be meant ends with 2, a reason and nothing on standard output:', () => {
  const cases: readonly (readonly [words: string, args: readonly string[], told: RegExp])[] = [
    [
      'an option that does not exist',
      ['ips.txt', '--field', 'city'],
      /unknown option '--field' \(Did you mean --fields\?\)/,
    ],
    ['an option without its value', ['ips.txt', '--url', '--json'], /--url needs a value/],
    ['a flag with a value, which is not shown', ['ips.txt', '--json=canary'], /unknown option '--json'/],
    ['an option twice', ['ips.txt', '--url', 'http://a', '--url', 'http://b'], /--url is there twice/],
    ['a format that there is not', ['ips.txt', '--format', 'xml'], /--format is one of ndjson, csv, tsv, json/],
    ['fields with a gap', ['ips.txt', '--fields', 'city,,country'], /city,asn\.name/],
    ['a URL that is none', ['ips.txt', '--url', 'localhost:8080'], /http:\/\/localhost:8080/],
    ['a list that is not there', ['nowhere.txt'], /nowhere\.txt cannot be read \(ENOENT\)/],
    ['a folder as list', ['.'], /is a folder/],
    ['a list as output', ['ips.txt', '-o', 'ips.txt', '--force'], /a list that is to be read/],
    ['a list as output by a link', ['ips.txt', '-o', 'link.ndjson', '--force'], /a list that is to be read/],
    [
      'an output in no folder',
      ['ips.txt', '-o', 'a/b.ndjson'],
      /a\/b\.ndjson cannot be written: there is no folder a\n/,
    ],
    ['a run to go on with that is not there', ['ips.txt', '-o', 'b.ndjson', '--resume'], /no b\.ndjson\.ipfleet\.json/],
    ['a job and a list', ['ips.txt', '--job', 'abc'], /takes no list/],
    ['a field that no record has', ['ips.txt', '--fields', 'city,cuntry'], /cuntry.*country/s],
    ['other fields of a job', ['--job', 'abc', '--fields', 'city'], /settled when the job was made/],
    ['an option without its value at the end', ['ips.txt', '--url'], /'--url <url>' argument missing/],
    ['a column of plain lines', ['ips.txt', '--column', 'ip'], /columns/],
  ]
  test.each(cases)('%s', async (_words, args, told) => {
    const { code, stdout, stderr } = await runHere(['bulk', ...args], { folder: harness.path('.') })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(told)
    expect(stderr).not.toContain('canary')
  })

  test('an output that another program has made, which stays as it is', async () => {
    await harness.write('mine.ndjson', 'precious\n')
    const args = ['bulk', 'ips.txt', '-o', 'mine.ndjson', '--no-resume']
    const { code, stderr } = await runHere(args, { folder: harness.path('.') })
    expect(code).toBe(2)
    expect(stderr).toContain('--force overwrites it')
    expect(await harness.read('mine.ndjson')).toBe('precious\n')
  })

  test('a password in the URL, which is not shown', async () => {
    const args = ['bulk', 'ips.txt', '--url', 'http://me:canary@localhost:1']
    const { code, stderr } = await runHere(args, { folder: harness.path('.') })
    expect(code).toBe(2)
    expect(stderr).not.toContain('canary')
  })
})

test('by npm, paths begin where npm was called, and not where it runs scripts', async () => {
  await using elsewhere = await CommandGround.start()
  await elsewhere.write('there.txt', '8.8.8.8\n')
  const env = { npm_lifecycle_event: 'bulk', INIT_CWD: elsewhere.path('.') }
  const args = ['--url', 'http://127.0.0.1:1']
  const ends = await Promise.all(['there.txt', 'ips.txt'].map((list) => harness.run([list, ...args], { env })))
  expect(ends.map(({ code }) => code)).toEqual([1, 2])
})

describe('a fleet that was named', () => {
  let server: Server
  let url = ''
  let status = 200
  const tokens: string[] = []
  beforeAll(async () => {
    server = createServer((req, res) => {
      tokens.push(String(req.headers.authorization))
      const error = { title: 'Unknown token', message: 'Not yours \u001b[31m' }
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ status, error }))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => void server.close())

  test('and is not there ends with 1, and leaves the output as it was', async () => {
    await harness.write('old.ndjson', 'precious\n')
    const { code, stderr } = await harness.run([
      'ips.txt',
      '-o',
      'old.ndjson',
      '--force',
      '--url',
      'http://127.0.0.1:1',
    ])
    expect(code).toBe(1)
    expect(stderr).toContain('no answer from http://127.0.0.1:1 (ECONNREFUSED)')
    expect(await harness.read('old.ndjson')).toBe('precious\n')
  })

  test('and is something else ends with 1', async () => {
    status = 200
    const { code, stderr } = await harness.run(['ips.txt', '--url', url])
    expect([code, stderr]).toEqual([1, `bulk: what answers at ${url} is no fleet\n`])
  })

  test('and wants another token ends with 1; the token goes there and is shown nowhere', async () => {
    status = 403
    tokens.length = 0
    const given = await harness.run(['ips.txt', '-o', 'out.ndjson', '--url', url, '--token', 'canary-token'])
    const set = await harness.run(['ips.txt', '--json'], { env: { IPFLEET_URL: url, IPFLEET_TOKEN: 'canary-token' } })
    expect([given.code, set.code]).toEqual([1, 1])
    expect(new Set(tokens)).toEqual(new Set(['Bearer canary-token']))
    expect(given.stderr).toContain('Not yours')
    expect(given.stderr).toContain('IPFLEET_TOKEN')
    expect(given.stderr + set.stderr + set.stdout).not.toContain('canary')
    expect(given.stderr).not.toContain('\u001b')
    expect(await harness.readIfThere('out.ndjson.ipfleet.json')).toBeUndefined()
  })
})
