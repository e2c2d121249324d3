import { gzipSync } from 'node:zlib'
import { once } from 'node:events'
import { appendFile, symlink, truncate } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type FaultyTcpProxy, startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { CommandGround, eventIn, inputsIn, linesIn } from '@ipfleet/testing/command-ground.ts'

/** The command against a fleet that takes no jobs: it asks in batches itself. */

let harness: CommandGround
let fake: FakeIpinfo
let replica: ServiceProcess
let proxy: FaultyTcpProxy
let url = ''

beforeAll(async () => {
  harness = await CommandGround.start()
  fake = await startFakeIpinfo()
  replica = await startReplica({
    IPINFO_KEYS: 'cli-key-1,cli-key-2',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    CACHE_MAX_ENTRIES: '100000',
    COOLDOWN_SECONDS: '1',
    BREAKER_OPEN_SECONDS: '1',
    QUOTA_POLL_SECONDS: '0',
    // What upstream is late with is asked for again.
    REQUEST_TIMEOUT_MS: '20000',
    DRAIN_MS: '0',
  })
  proxy = await startFaultyTcpProxy({ targetPort: replica.port })
  url = `http://127.0.0.1:${proxy.port}`
})
afterEach(async () => {
  fake.heal()
  fake.clearCalls()
  await proxy.mode('pass')
  await fetch(`${replica.url}/cache`, { method: 'DELETE' })
})
afterAll(async () => {
  await proxy.close()
  await replica.stop()
  await fake.close()
  await harness[Symbol.asyncDispose]()
})

const asked = (): string[] => fake.calls.flatMap(({ items = [] }) => [...items])
/** With duplicates, IPv6 in two spellings and lines that hold no address. */
const mixed = (count: number, from = 0): string[] =>
  addresses(count, from).map((address, at) => {
    if (at % 50 === 0) return `no address ${at}`
    if (at % 10 === 1)
      return at % 20 === 1 ? `2001:db9::${(at % 400).toString(16)}` : `2001:DB9:0::${(at % 400).toString(16)}`
    return at % 10 === 2 ? '9.9.9.9' : address
  })

describe('a list', () => {
  test('has one result for each input, in its order; each address is asked for once', async () => {
    const lines = mixed(3000)
    await harness.write('mixed.txt', `${lines.join('\r\n')}\r\n`)
    const { code, stdout, stderr } = await harness.run(['mixed.txt', '-o', 'mixed.ndjson', '--url', url, '--json'])
    expect([code, stdout]).toEqual([0, ''])
    const results = linesIn(await harness.read('mixed.ndjson')).map((line) => JSON.parse(line))
    expect(results.map(({ input }) => input)).toEqual(lines)
    expect(results[2]).toMatchObject({ input: '9.9.9.9', ip: '9.9.9.9', country: expect.any(String) })
    expect(results[50]).toEqual({ input: 'no address 50', error: { title: 'Wrong ip', message: expect.any(String) } })
    expect(new Set(asked()).size).toBe(asked().length)
    expect(eventIn(stderr, 'start')).toMatchObject({ way: 'batch', url })
    expect(eventIn(stderr, 'end')).toMatchObject({ exit_code: 0, done: 3000, answered: 2940, errors: { wrong_ip: 60 } })
    expect(await harness.readIfThere('mixed.ndjson.ipfleet.json')).toBeUndefined()
  })

  test('comes through a pipe and its results leave through one', async () => {
    const { code, stdout, stderr } = await harness.run(['--url', url], { stdin: '8.8.8.8\n\n 1.1.1.1 ' })
    expect(code).toBe(0)
    expect(inputsIn(stdout)).toEqual(['8.8.8.8', '', ' 1.1.1.1 '])
    expect(stderr).toMatch(/^bulk: 3 lines in .*; 2 answered, 0% of them cached; 1 error \(1 wrong_ip\)\n$/)
  })

  test('may be several files in several forms, packed or not', async () => {
    await harness.write('a.csv.gz', gzipSync('name,ip\nx,8.8.8.8\n"y, z",1.1.1.1\n'))
    await harness.write('b.jsonl', '"9.9.9.9"\n{"ip":"8.8.4.4"}\n')
    await harness.write('c.json', '["1.0.0.1", "nonsense"]')
    await harness.write('d', '208.67.222.222')
    const { stdout } = await harness.run(['a.csv.gz', 'b.jsonl', '-', 'c.json', 'd', '--url', url, '--quiet'], {
      stdin: '4.2.2.1',
    })
    const files = ['8.8.8.8', '1.1.1.1', '9.9.9.9', '8.8.4.4', '4.2.2.1', '1.0.0.1', 'nonsense', '208.67.222.222']
    expect(inputsIn(stdout)).toEqual(files)
  })

  test('gives CSV by the name of the output, with the wanted fields as its columns', async () => {
    await harness.write('people.csv', 'who,address\n"a,b",8.8.8.8\nc,x\n')
    const { code, stderr } = await harness.run([
      'people.csv',
      '--column',
      'address',
      '--fields',
      'ip,country',
      '-o',
      'people-out.csv',
      '--url',
      url,
      '--quiet',
    ])
    expect([code, stderr]).toEqual([0, ''])
    const rows = linesIn(await harness.read('people-out.csv'))
    expect(rows).toEqual([
      'who,address,ip,country,error',
      expect.stringMatching(/^"a,b",8\.8\.8\.8,8\.8\.8\.8,\w\w,$/),
      'c,x,,,Wrong ip',
    ])
  })

  test('gives one JSON array', async () => {
    const { stdout } = await harness.run(['--format', 'json', '--fields', 'ip', '--url', url], { stdin: '8.8.8.8\nx' })
    expect(JSON.parse(stdout)).toEqual([
      { input: '8.8.8.8', ip: '8.8.8.8' },
      { input: 'x', error: { title: 'Wrong ip', message: expect.any(String) } },
    ])
  })

  test('that breaks off ends with 1, and says where', async () => {
    await harness.write('broken.txt.gz', gzipSync(mixed(2000).join('\n')).subarray(0, 2000))
    const { code, stderr } = await harness.run(['broken.txt.gz', '--url', url])
    expect(code).toBe(1)
    expect(stderr).toMatch(/broken\.txt\.gz: .*gzip.*broken/)
  })

  test('without anything in it ends with 1', async () => {
    const { code, stderr } = await harness.run(['--url', url], { stdin: '' })
    expect([code, stderr]).toEqual([1, expect.stringContaining('standard input: ')])
  })
})

/** Lets upstream answer nothing behind the first two thirds of a list, so that a run is in its middle for as long as it takes. */
function holdTheLastThird(count: number, from: number): { release(): void } {
  const late = new Set(addresses(count, from).slice((count / 3) * 2))
  return fake.hold({ when: ({ items = [] }) => items.some((item) => late.has(item)) })
}

describe('when the fleet', () => {
  test('is away for a while, nothing is lost or doubled', async () => {
    const lines = mixed(6000, 100_000)
    await harness.write('outage.txt', lines.join('\n'))
    const gate = holdTheLastThird(lines.length, 100_000)
    const command = harness.start(['outage.txt', '-o', 'outage.ndjson', '--url', url])
    await harness.waitForLines('outage.ndjson', 1000)
    await proxy.mode('reset')
    await until(() => command.said().includes('trying again'))
    gate.release()
    await proxy.mode('pass')
    const { code, stderr } = await command.ended
    expect(code).toBe(0)
    expect(inputsIn(await harness.read('outage.ndjson'))).toEqual(lines)
    expect(stderr).toContain('the fleet answers again')
  })

  test('has no keys left for a moment, it waits as long as it is told', async () => {
    const heal = fake.behave({ kind: '429-storm', retryAfterSeconds: 1 })
    const command = harness.start(['--url', url], { stdin: addresses(300, 200_000).join('\n') })
    await until(() => command.said().includes('trying again'))
    heal()
    const { code, stdout } = await command.ended
    expect(code).toBe(0)
    expect(linesIn(stdout).filter((line) => line.includes('"error"'))).toEqual([])
  })

  test('fails at some addresses for good, they have errors and it ends with 3', async () => {
    fake.block(['203.0.114.9'])
    try {
      const { code, stdout, stderr } = await harness.run(['--url', url, '--json'], { stdin: '8.8.8.8\n203.0.114.9\n' })
      expect(code).toBe(3)
      expect(stdout).toMatch(/^\{"input":"8\.8\.8\.8","ip".*\n\{"input":"203\.0\.114\.9","error":/)
      expect(eventIn(stderr, 'end')).toMatchObject({ exit_code: 3, done: 2, answered: 1 })
      const alone = await harness.run(['--url', url], { stdin: '203.0.114.9' })
      expect([alone.code, inputsIn(alone.stdout)]).toEqual([3, ['203.0.114.9']])
    } finally {
      fake.block([])
    }
  })
})

test.each(['plain', 'by a link'])('an output that a run is writing is not written by another one, %s', async (how) => {
  const name = `busy-${how.length}`
  const list = addresses(3000, 500_000 + 3000 * how.length)
  await harness.write(`${name}.txt`, list.join('\n'))
  if (how !== 'plain') await symlink(`${name}.out`, harness.path(`${name}.link`))
  const args = (output: string) => [`${name}.txt`, '-o', output, '--url', url]
  const gate = holdTheLastThird(list.length, 500_000 + 3000 * how.length)
  const first = harness.start(args(how === 'plain' ? `${name}.out` : `${name}.link`))
  const another = async () => {
    await harness.waitForLines(`${name}.out`, 1000)
    return harness.run([...args(`${name}.out`), '--force'])
  }
  const again = await another().finally(() => gate.release())
  expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/busy-\d\.out is being written by another run/)])
  expect((await first.ended).code).toBe(0)
  expect(inputsIn(await harness.read(`${name}.out`))).toEqual(list)
})

describe('a run that was interrupted', () => {
  const list = mixed(6000, 300_000)
  let args: readonly string[] = []

  /** Interrupts a run in the middle. @returns what it said, and its exit code */
  async function interrupt(name: string, signal: NodeJS.Signals, more: readonly string[] = []) {
    await harness.write(`${name}.txt`, list.join('\n'))
    args = [`${name}.txt`, '-o', `${name}.out`, '--url', url, ...more]
    const gate = holdTheLastThird(list.length, 300_000)
    const command = harness.start(args)
    await harness.waitForLines(`${name}.out`, 1000)
    command.kill(signal)
    const end = await command.ended
    gate.release()
    expect(linesIn(await harness.read(`${name}.out`)).length).toBeLessThan(list.length)
    return end
  }

  test.each(['ndjson', 'csv', 'json'])('by Ctrl-C goes on as if it had not been (%s)', async (format) => {
    const { code, stderr } = await interrupt(`stopped-${format}`, 'SIGINT', [
      '--format',
      format,
      '--fields',
      'ip,country',
    ])
    expect(code).toBe(130)
    expect(stderr).toMatch(/\d+ lines are written; the same command again goes on behind them/)
    const again = await harness.run(args)
    expect(again.code).toBe(0)
    expect(again.stderr).toMatch(/going on behind line \d{4}/)
    expect(await harness.readIfThere(`stopped-${format}.out.ipfleet.json`)).toBeUndefined()
    const whole = await harness.run([...args.filter((_, at) => at !== 1 && at !== 2), '--quiet'])
    expect(await harness.read(`stopped-${format}.out`)).toBe(whole.stdout)
  })

  test('by SIGKILL, in the middle of a line, goes on behind the last whole one', async () => {
    await interrupt('killed', 'SIGKILL')
    await appendFile(harness.path('killed.out'), '{"input":"torn')
    const { code } = await harness.run([...args, '--resume'])
    expect(code).toBe(0)
    expect(inputsIn(await harness.read('killed.out'))).toEqual(list)
  })

  test('is not gone on with when the list or the arguments have changed', async () => {
    await interrupt('changed', 'SIGTERM')
    const before = await harness.read('changed.out')
    const otherFields = await harness.run([...args, '--fields', 'ip'])
    expect([otherFields.code, otherFields.stderr]).toEqual([2, expect.stringContaining('--fields was another')])
    await appendFile(harness.path('changed.txt'), '\n1.2.3.4')
    const changed = await harness.run(args)
    expect([changed.code, changed.stderr]).toEqual([2, expect.stringMatching(/changed\.txt has changed.*--no-resume/)])
    expect(await harness.read('changed.out')).toBe(before)

    const anew = await harness.run([...args, '--no-resume'])
    expect([anew.code, inputsIn(await harness.read('changed.out'))]).toEqual([0, [...list, '1.2.3.4']])
  })

  test('of which the results are all there already ends at once', async () => {
    await interrupt('complete', 'SIGINT')
    const state = await harness.read('complete.out.ipfleet.json')
    await harness.run(args)
    const whole = await harness.read('complete.out')
    await harness.write('complete.out.ipfleet.json', state)
    fake.clearCalls()
    expect((await harness.run(args)).code).toBe(0)
    expect([await harness.read('complete.out'), fake.calls]).toEqual([whole, []])
  })

  test('of which the results are gone begins anew', async () => {
    await interrupt('emptied', 'SIGINT')
    await truncate(harness.path('emptied.out'), 0)
    expect((await harness.run(args)).code).toBe(0)
    expect(inputsIn(await harness.read('emptied.out'))).toEqual(list)
  })

  test('keeps no token in what it leaves', async () => {
    await interrupt('secret', 'SIGINT', ['--token', 'canary-token'])
    expect(await harness.read('secret.out.ipfleet.json')).not.toContain('canary')
  })
})

test('a reader that has read enough ends it quietly', async () => {
  const command = harness.start(['--url', url], { stdin: mixed(20_000, 400_000).join('\n') })
  await once(command.stdout, 'data')
  command.stdout.destroy()
  const { code, stderr } = await command.ended
  expect([code, stderr]).toEqual([0, ''])
})
