import { parseArgs } from 'node:util'
import type { FakeKey } from './fake-ipinfo/accounts.ts'
import { isPlan, type Plan } from './fake-ipinfo/plans.ts'
import { startFakeIpinfo } from './fake-ipinfo.ts'

const help = `A fake IPinfo: real HTTP, made-up but steady records.

  node packages/testing/src/fake-ipinfo-main.ts [options]

  --port N             default 0: any free port
  --host ADDRESS       default 127.0.0.1
  --keys A,B,C         the tokens that exist; without it every token does
  --plan NAME          of each key: lite, core, plus, max, free, basic, standard, business; default: may ask everything
  --quota N            requests a month of each key; default: no end
  --per-minute N       requests a minute of each key; default: no end
  --keyless-quota N    requests without a token before 429; default 0
  --allow-keyless      answer without a token, without an end
  --latency-ms N       time that every answer takes; default 0
  --retry-after N      seconds for Retry-After on a 429; default: not sent
  --max-calls N        calls that the log keeps; default 100000
  --help

api.ipinfo.io is below /api.ipinfo.io, ipinfo.io at the root; a Host that names one of them decides first.
Prints {"msg":"listening","port":N,"url":"http://..."} when it is up. Controls are under /_fake/.
SIGTERM and SIGINT end it.
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: '127.0.0.1' },
      keys: { type: 'string' },
      plan: { type: 'string' },
      quota: { type: 'string' },
      'per-minute': { type: 'string' },
      'keyless-quota': { type: 'string', default: '0' },
      'allow-keyless': { type: 'boolean', default: false },
      'latency-ms': { type: 'string', default: '0' },
      'retry-after': { type: 'string' },
      'max-calls': { type: 'string', default: '100000' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return
  }
  const key: FakeKey = {
    ...(values.plan !== undefined && { plan: planNamed(values.plan) }),
    ...(values.quota !== undefined && { monthlyQuota: count('quota', values.quota) }),
    ...(values['per-minute'] !== undefined && { perMinute: count('per-minute', values['per-minute']) }),
  }
  const tokens = values.keys?.split(',').flatMap((token) => token.trim() || [])
  const fake = await startFakeIpinfo({
    port: count('port', values.port),
    host: values.host,
    ...(tokens !== undefined && { keys: Object.fromEntries(tokens.map((token) => [token, key])) }),
    requireToken: !values['allow-keyless'],
    keylessQuota: count('keyless-quota', values['keyless-quota']),
    latencyMs: count('latency-ms', values['latency-ms']),
    ...(values['retry-after'] !== undefined && { retryAfterSeconds: count('retry-after', values['retry-after']) }),
    maxCalls: count('max-calls', values['max-calls']),
    hasControl: true,
  })
  process.stdout.write(`${JSON.stringify({ msg: 'listening', port: fake.port, url: fake.url })}\n`)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void fake.close())
}

function planNamed(name: string): Plan {
  if (isPlan(name)) return name
  throw new RangeError(`--plan takes a plan's name, not '${name}'`)
}

function count(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new RangeError(`--${name} takes a whole number, not '${text}'`)
  return Number(text)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
