import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { homedir } from 'node:os'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { isPortFree } from '@ipfleet/testing/service-process-port.ts'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { commandEntry, CommandGround, eventIn, inputsIn, linesIn } from '@ipfleet/testing/command-ground.ts'

/** The command on its own: no fleet is started. */

const defaultPort = 8080
const isAlone = await isPortFree(defaultPort)
if (!isAlone) process.stderr.write(`embedded.test.ts is skipped: another program listens on port ${defaultPort}\n`)
const alone = isAlone ? describe : describe.skip

let harness: CommandGround
let fake: FakeIpinfo
let env: Readonly<Record<string, string>> = {}
beforeAll(async () => {
  harness = await CommandGround.start()
  fake = await startFakeIpinfo()
  env = {
    IPINFO_KEYS: 'canary-key-1,canary-key-2',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    QUOTA_POLL_SECONDS: '0',
  }
})
afterEach(() => {
  fake.heal()
  fake.clearCalls()
})
afterAll(async () => {
  await fake.close()
  await harness[Symbol.asyncDispose]()
})

/** Of the fleet that a command has started. */
const portIn = (stderr: string): number => Number(new URL(String(eventIn(stderr, 'start')['url'])).port)

alone('without a fleet', () => {
  test('one is started, says so, and is gone at the end', async () => {
    const { code, stdout, stderr } = await harness.run(['--json'], { stdin: '8.8.8.8\nfoo\n10.0.0.1' })
    expect(code).toBe(0)
    expect(inputsIn(stdout)).toEqual(['8.8.8.8', 'foo', '10.0.0.1'])
    expect(stdout).toContain('"country":"US"')
    expect(stderr).toContain(`no fleet answers at http://localhost:${defaultPort}: one is started for this run`)
    expect(await isPortFree(portIn(stderr))).toBe(true)
  })

  test('it has the keys of the environment, which are shown nowhere, and asks for each address once', async () => {
    const lines = [...addresses(1500), ...addresses(1500)]
    await harness.write('twice.txt', lines.join('\n'))
    const { code, stdout, stderr } = await harness.run(['twice.txt'], { env: { ...env, REQUEST_TIMEOUT_MS: '60000' } })
    expect(code).toBe(0)
    expect(inputsIn(stdout)).toEqual(lines)
    const asked = fake.calls.flatMap(({ items = [] }) => [...items])
    expect(asked.toSorted()).toEqual(addresses(1500).toSorted())
    expect(stderr).toMatch(/3,000 answered, 50% of them cached; 0 errors/)
    expect(stdout + stderr).not.toContain('canary')
  })

  test('settings that it cannot start with are told', async () => {
    const { code, stderr } = await harness.run([], { env: { BREAKER_FAILURE_PERCENT: 'many' }, stdin: '8.8.8.8' })
    expect(code).toBe(1)
    expect(stderr).toMatch(/the embedded fleet does not start\n.*\n? *BREAKER_FAILURE_PERCENT/)
  })

  test.each(['SIGINT', 'SIGKILL'] as const)('it ends with the run, also by %s, which goes on later', async (signal) => {
    const lines = addresses(4000, signal === 'SIGINT' ? 10_000 : 20_000)
    const name = `stopped-${signal}`
    await harness.write(`${name}.txt`, lines.join('\n'))
    const args = [`${name}.txt`, '-o', `${name}.ndjson`, '--json']
    // So that the run is in its middle for as long as this takes.
    const late = new Set(lines.slice(2000))
    const gate = fake.hold({ when: ({ items = [] }) => items.some((item) => late.has(item)) })
    const command = harness.start(args, { env })
    await harness.waitForLines(`${name}.ndjson`, 500)
    command.kill(signal)
    await command.ended
    gate.release()
    await until(() => isPortFree(portIn(command.said())))
    expect(linesIn(await harness.read(`${name}.ndjson`)).length).toBeLessThan(lines.length)
    fake.heal()
    expect((await harness.run(args, { env })).code).toBe(0)
    expect(inputsIn(await harness.read(`${name}.ndjson`))).toEqual(lines)
  })
})

const scriptIsThere = spawnSync('script', ['--version']).status === 0
if (!scriptIsThere) process.stderr.write('the test of the terminal is skipped: there is no `script` command\n')
const onTerminal = isAlone && scriptIsThere ? describe : describe.skip

onTerminal('on a terminal', () => {
  test('there is a bar, which is gone at the end', async () => {
    await harness.write('bar.txt', addresses(6000, 30_000).join('\n'))
    fake.behave({ kind: 'latency', ms: 100 })
    const line = `'${process.execPath}' '${commandEntry}' bulk bar.txt -o bar.ndjson --force`
    const child = spawn('script', ['-qefc', line, '/dev/null'], {
      cwd: harness.path('.'),
      env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), TERM: 'xterm', COLUMNS: '120', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [shown, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    expect(code).toBe(0)
    expect(shown).toMatch(/[█░]{24} \d+% [\d,]+ of about [\d,]+ lines, [\d,]+\/s, ETA .*, \d+% cached, 0 errors/)
    expect(shown).toMatch(/bulk: 6,000 lines in .* → bar\.ndjson\s*$/)
    expect(inputsIn(await harness.read('bar.ndjson'))).toHaveLength(6000)
  })
})
