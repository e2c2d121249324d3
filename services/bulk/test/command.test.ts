import { rm } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type FaultyTcpProxy, startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness, type SeenJob } from './bulk-harness.ts'
import {
  type CommandEnd,
  CommandGround,
  eventIn,
  eventsIn,
  inputsIn,
  linesIn,
} from '@ipfleet/testing/command-ground.ts'

/** The command against a fleet that takes jobs. */

let fleet: BulkHarness
let harness: CommandGround
let proxy: FaultyTcpProxy
let url = ''

beforeAll(async () => {
  harness = await CommandGround.start()
  fleet = await BulkHarness.start({
    lookupEnv: { COOLDOWN_SECONDS: '1', BREAKER_OPEN_SECONDS: '1' },
    bulkEnv: { CLIENT_TOKENS: 'cli-client-token' },
  })
  proxy = await startFaultyTcpProxy({ targetPort: Number(new URL(fleet.url).port) })
  url = `http://127.0.0.1:${proxy.port}`
})
afterEach(async () => {
  gate.release()
  fleet.fake.heal()
  fleet.fake.clearCalls()
  await proxy.mode('pass')
})
afterAll(async () => {
  await proxy.close()
  await fleet.stop()
  await harness[Symbol.asyncDispose]()
})

const env = { IPFLEET_TOKEN: 'cli-client-token' }
const headers = { Authorization: 'Bearer cli-client-token' }
const run = (args: readonly string[], stdin = ''): Promise<CommandEnd> =>
  harness.run([...args, '--url', url], { env, stdin })

async function fromFleet(path: string): Promise<string> {
  const response = await fetch(`${fleet.url}${path}`, { headers })
  return response.text()
}

async function jobs(): Promise<readonly SeenJob[]> {
  return (JSON.parse(await fromFleet('/jobs?limit=100')) as { jobs: readonly SeenJob[] }).jobs
}

const lines = addresses(6000).map((address, at) => (at % 100 === 0 ? `no address ${at}` : address))

/** Upstream answers nothing that is asked about these addresses before `gate.release()`. */
function hold(addressesOfTheEnd: readonly string[]): void {
  const held = new Set(addressesOfTheEnd)
  gate = fleet.fake.hold({ when: ({ items = [] }) => items.some((item) => held.has(item)) })
}
let gate = { release: () => {} }

interface SlowRun {
  readonly more?: readonly string[]
  /** Lines that have no result before `gate.release()`. */
  readonly held?: readonly [from: number, to?: number]
  readonly content?: (inputs: readonly string[]) => string
}

/** A run that is far enough to have results, and does not get to its end before `gate.release()`. */
async function startSlowly(name: string, { more = [], held = [4000], content = textOf }: SlowRun = {}) {
  // Of an earlier try.
  for (const file of [`${name}.ndjson`, `${name}.ndjson.ipfleet.json`]) await rm(harness.path(file), { force: true })
  // Addresses that were not asked for before: the fleet has not stored them.
  const octet = 10 + names.push(name)
  const own = lines.map((line) => line.replace(/\.9$/, `.${octet}`))
  await harness.write(`${name}.txt`, content(own))
  hold(own.slice(...held))
  const args = [`${name}.txt`, '-o', `${name}.ndjson`, '--url', url, '--json', ...more]
  const command = harness.start(args, { env })
  await harness.waitForLines(`${name}.ndjson`, 1000)
  return { args, command, id: String(eventIn(command.said(), 'job')['id']) }
}
const textOf = (inputs: readonly string[]): string => inputs.join('\n')
const tableOf = (inputs: readonly string[]): string =>
  `row,address\n${inputs.map((input, at) => `${at},${input}\n`).join('')}`
const names: string[] = []

describe('a list', () => {
  test('becomes one job, whose results are written as the fleet has them', async () => {
    await harness.write('plain.txt', `${lines.join('\n')}\n`)
    const { code, stdout, stderr } = await run(['plain.txt', '-o', 'plain.ndjson', '--json'])
    expect([code, stdout]).toEqual([0, ''])
    const { id } = eventIn(stderr, 'job')
    expect(await harness.read('plain.ndjson')).toBe(await fromFleet(`/jobs/${String(id)}/results`))
    expect(inputsIn(await harness.read('plain.ndjson'))).toEqual(lines)
    const end = eventIn(stderr, 'end')
    expect(end).toMatchObject({ exit_code: 0, job: id, done: 6000, answered: 5940, errors: { wrong_ip: 60 } })
    expect(await jobs()).toHaveLength(1)
    expect(await harness.readIfThere('plain.ndjson.ipfleet.json')).toBeUndefined()
  })

  test.each(['csv', 'json'])('gives the same %s as the fleet', async (format) => {
    const args = ['--input-format', 'csv', '--column', '2', '--fields', 'city,country', '--format', format, '--json']
    const { code, stdout, stderr } = await run(args, 'a,8.8.8.8\nb,"1,1"\nc,1.1.1.1\n')
    expect(code).toBe(0)
    expect(stdout).toContain('8.8.8.8')
    expect(stdout).toBe(await fromFleet(`/jobs/${String(eventIn(stderr, 'job')['id'])}/results?format=${format}`))
  })

  test('keeps its own columns beside the results, and addresses in other text count', async () => {
    await harness.write('own.csv', 'who,IP Address\n"a,b",8.8.8.8:53\nc,x\nd,1.1.1.1\n')
    const { code, stdout } = await run(['own.csv', '--fields', 'ip', '--format', 'csv', '--quiet'])
    expect([code, linesIn(stdout)]).toEqual([
      0,
      ['who,IP Address,ip,error', '"a,b",8.8.8.8:53,8.8.8.8,', 'c,x,,Wrong ip', 'd,1.1.1.1,1.1.1.1,'],
    ])
  })

  test('may be several files in several forms', async () => {
    await harness.write('a.csv.gz', gzipSync('name,ip\nx,8.8.8.8\n"y, z",1.1.1.1\n'))
    await harness.write('b.jsonl', '"9.9.9.9"\n{"ip":"8.8.4.4"}\n')
    const { stdout } = await run(['a.csv.gz', '-', 'b.jsonl', '--quiet'], ' 4.2.2.1\n\n"x"')
    expect(inputsIn(stdout)).toEqual(['8.8.8.8', '1.1.1.1', ' 4.2.2.1', '', '"x"', '9.9.9.9', '8.8.4.4'])
  })

  test('goes packed as it is', async () => {
    await harness.write('packed.txt.gz', gzipSync('8.8.8.8\n1.1.1.1\n'))
    const { stdout } = await run(['packed.txt.gz', '--quiet'])
    expect(inputsIn(stdout)).toEqual(['8.8.8.8', '1.1.1.1'])
  })

  test('without the column that is meant ends with 1, and makes no job', async () => {
    const before = await jobs()
    await harness.write('bad.csv', 'name,ip\nx,8.8.8.8\n')
    const { code, stderr } = await run(['bad.csv', '--column', 'adress', '-o', 'bad.ndjson'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/no column "adress" in the header row; it has "name", "ip"/)
    expect(await jobs()).toEqual(before)
    expect(await harness.readIfThere('bad.ndjson.ipfleet.json')).toBeUndefined()
  })

  test('is refused without the token, which is shown nowhere', async () => {
    const { code, stderr } = await harness.run(['--url', url], { stdin: '8.8.8.8' })
    expect([code, stderr]).toEqual([1, expect.stringContaining('IPFLEET_TOKEN')])
  })
})

describe('when the connection', () => {
  test('is lost among the results, nothing is lost or doubled', async () => {
    const { command, id } = await startSlowly('dropped')
    await proxy.mode('reset')
    await until(() => command.said().includes('trying again'))
    gate.release()
    await proxy.mode('pass')
    expect((await command.ended).code).toBe(0)
    expect(await harness.read('dropped.ndjson')).toBe(await fromFleet(`/jobs/${id}/results`))
  })

  test('is lost in the upload, it is sent again and becomes one job', async () => {
    const before = await jobs()
    await harness.write('upload.txt', `${lines.join('\n')}\n`.repeat(20))
    await proxy.mode({ delayMs: 50 })
    const command = harness.start(['upload.txt', '-o', 'upload.ndjson', '--url', url, '--json'], { env })
    await until(() => proxy.accepted > 0 && eventsIn(command.said()).some(({ event }) => event === 'start'))
    await proxy.mode('reset')
    await until(() => command.said().includes('trying again'))
    await proxy.mode('pass')
    const { code, stderr } = await command.ended
    expect([code, eventIn(stderr, 'end')['done']]).toEqual([0, 120_000])
    expect(await jobs()).toHaveLength(before.length + 1)
  })
})

describe('a run that was interrupted', () => {
  test('by Ctrl-C goes on with the same job, which has gone on meanwhile', async () => {
    const { args, command, id } = await startSlowly('stopped')
    command.kill('SIGINT')
    const { code, stderr } = await command.ended
    expect(code).toBe(130)
    expect(stderr).toContain(`the job ${id} goes on; to cancel it: DELETE ${url}/jobs/${id}`)
    const written = linesIn(await harness.read('stopped.ndjson')).length
    expect(written).toBeLessThan(lines.length)
    const before = await jobs()
    gate.release()

    const again = await harness.run(args, { env })
    expect([again.code, eventIn(again.stderr, 'job')['id']]).toEqual([0, id])
    expect(eventIn(again.stderr, 'start')['lines_before']).toBe(written)
    expect(await harness.read('stopped.ndjson')).toBe(await fromFleet(`/jobs/${id}/results`))
    expect((await jobs()).map((job) => job.id)).toEqual(before.map((job) => job.id))
  })

  test('by SIGKILL goes on as well', async () => {
    const { args, command, id } = await startSlowly('killed')
    command.kill('SIGKILL')
    await command.ended
    gate.release()
    expect((await harness.run(args, { env })).code).toBe(0)
    expect(await harness.read('killed.ndjson')).toBe(await fromFleet(`/jobs/${id}/results`))
  })

  test('whose job is there no more hands its list over again, and goes on behind what it has', async () => {
    const { args, command, id } = await startSlowly('gone')
    command.kill('SIGINT')
    await command.ended
    await fetch(`${fleet.url}/jobs/${id}`, { method: 'DELETE', headers })
    await fetch(`${fleet.url}/jobs/${id}`, { method: 'DELETE', headers })
    gate.release()
    const again = await harness.run(args, { env })
    expect(again.code).toBe(0)
    expect(again.stderr).toContain(`the job ${id} is there no more`)
    const other = String(eventIn(again.stderr, 'job')['id'])
    expect(other).not.toBe(id)
    expect(await harness.read('gone.ndjson')).toBe(await fromFleet(`/jobs/${other}/results`))
  })

  test('with --cancel-on-exit has cancelled its job', async () => {
    const { command, id } = await startSlowly('cancelled', { more: ['--cancel-on-exit'] })
    command.kill('SIGINT')
    const { code, stderr } = await command.ended
    expect([code, stderr]).toEqual([130, expect.stringContaining(`the job ${id} is cancelled`)])
    expect(JSON.parse(await fromFleet(`/jobs/${id}`))).toMatchObject({ state: 'cancelled' })
  })

  test('of a list from a pipe is gone on with by its job', async () => {
    const list = addresses(6000, 500_000)
    hold(list.slice(4000))
    const stdin = new PassThrough()
    stdin.end(list.join('\n'))
    const command = harness.start(['-o', 'piped.ndjson', '--url', url, '--json'], { env, stdin })
    await harness.waitForLines('piped.ndjson', 1000)
    command.kill('SIGINT')
    const { stderr } = await command.ended
    gate.release()
    const id = String(eventIn(stderr, 'job')['id'])
    expect(stderr).toContain(`--job ${id} -o piped.ndjson`)

    const same = await run(['-o', 'piped.ndjson'], '8.8.8.8')
    expect([same.code, same.stderr]).toEqual([2, expect.stringContaining(`--job ${id} fetches the rest`)])
    expect((await run(['--job', id, '-o', 'piped.ndjson'])).code).toBe(0)
    expect(await harness.read('piped.ndjson')).toBe(await fromFleet(`/jobs/${id}/results`))
  })
})

/** All of the job is done but one chunk, behind the first one, when it is cancelled. */
async function cancelWithGap(name: string, how: SlowRun = {}) {
  const { command, id } = await startSlowly(name, { ...how, held: [1501, 1502] })
  await until(async () => (JSON.parse(await fromFleet(`/jobs/${id}`)) as SeenJob).lines.done > 4900)
  await fetch(`${fleet.url}/jobs/${id}`, { method: 'DELETE', headers })
  const { code, stderr } = await command.ended
  expect([code, stderr]).toEqual([1, expect.stringContaining(`the job ${id} was cancelled`)])
  expect(stderr).toContain('--no-resume begins anew')
  expect(stderr).not.toContain('goes on')
  return { written: await harness.read(`${name}.ndjson`), results: await fromFleet(`/jobs/${id}/results`) }
}

describe('a job that is cancelled ends the run with 1', () => {
  test('with what there is of its results', async () => {
    const { written, results } = await cancelWithGap('foreign')
    expect(written).toBe(results)
  })

  test('with those before the first gap, where rows have columns of their own', async () => {
    const more = ['--input-format', 'csv', '--column', 'address']
    const { written, results } = await cancelWithGap('foreign-columns', { content: tableOf, more })
    const rows = linesIn(written).map((line) => JSON.parse(line) as { input: string; row: string })
    const inputs = inputsIn(results)
    const whole = inputs.findIndex((input, at) => input.replace(/\.\d+$/, '.9') !== lines[at])
    expect(rows.map(({ row }) => Number(row))).toEqual(Array.from({ length: whole }, (_, at) => at))
    expect(rows.map(({ input }) => input)).toEqual(inputs.slice(0, whole))
  })
})

test('--job fetches the results of one that is there, in any form; of another it says so', async () => {
  const made = await run(['--fields', 'country', '--json'], '8.8.8.8\nx')
  const id = String(eventIn(made.stderr, 'job')['id'])
  const { code, stdout } = await run(['--job', id, '--format', 'csv'])
  expect([code, stdout]).toEqual([0, 'input,country,error\n8.8.8.8,US,\nx,,Wrong ip\n'])
  const other = await run(['--job', 'nosuchjob'])
  expect([other.code, other.stderr]).toEqual([1, `bulk: there is no job nosuchjob at ${url}\n`])
})
