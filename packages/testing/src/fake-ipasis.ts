import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { parseAddress } from './fake-ipinfo/address.ts'
import { contentTypes } from './fake-ipinfo/answer.ts'
import { CallLog, type FakeCall, pathnameOf } from './fake-ipinfo/call-log.ts'
import { Delays } from './fake-ipinfo/delays.ts'
import { type Behaviour, Faults } from './fake-ipinfo/faults.ts'
import { deliverBadly } from './fake-ipinfo/faulty-delivery.ts'
import { modules, planRecord } from './fake-ipinfo/legacy-record.ts'
import { type Subject, subjectOf } from './fake-ipinfo/subject.ts'

export interface FakeIpasisOptions {
  /** The keys that exist, and how many requests each is good for; any other answers 401. */
  readonly keys: Readonly<Record<string, number>>
}

/** A fake IPASIS that runs. Its records are of the same places and networks as those of the fake IPinfo. */
export interface FakeIpasis {
  /** Without a slash at its end. */
  readonly url: string
  /** Every request that arrived, oldest first. */
  readonly calls: readonly FakeCall[]
  clearCalls(): void
  /** Arms a fault until `heal`, its `times`, or a call of what this gives. */
  behave(behaviour: Behaviour): () => void
  heal(): void
  /** Ends every connection, answered or not. */
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly value: unknown
}

/** Starts a fake IPASIS in this process: `/v1/{ip}` and `/v1/lookup?ip=`, with the key in `X-API-Key`. */
export async function startFakeIpasis({ keys }: FakeIpasisOptions): Promise<FakeIpasis> {
  const log = new CallLog()
  const faults = new Faults()
  const delays = new Delays()
  const left = new Map(Object.entries(keys))
  const server = createServer((req, res) => {
    const call = callOf(req)
    log.add(call)
    deliver(answerTo(call, left), call, res).catch(() => res.destroy())
  })

  async function deliver({ status, value }: Answer, call: FakeCall, res: ServerResponse): Promise<void> {
    const { latencyMs, fault } = faults.fateOf(call)
    if (latencyMs > 0) await delays.wait(latencyMs)
    const body = Buffer.from(JSON.stringify(value))
    const remaining = left.get(call.token ?? '')
    const headers = {
      'content-type': contentTypes.json,
      'content-length': body.length,
      ...(remaining !== undefined && { 'x-ratelimit-remaining': remaining }),
    }
    if (fault) await deliverBadly(fault, res, { status, headers, body, delay: (ms) => delays.wait(ms) })
    else res.writeHead(status, headers).end(body)
    call.status = res.headersSent ? res.statusCode : undefined
  }

  return {
    url: `http://127.0.0.1:${await portOf(server)}`,
    get calls() {
      return log.calls
    },
    clearCalls: () => log.clear(),
    behave: (behaviour) => faults.behave(behaviour),
    heal: () => faults.heal(),
    close: async () => {
      delays.close()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function callOf({ method = '', url = '/', headers }: IncomingMessage): FakeCall {
  const key = headers['x-api-key']
  return {
    method,
    host: 'api.ipasis.com',
    path: url,
    isReused: false,
    token: typeof key === 'string' ? key : undefined,
    atMs: performance.now(),
    status: undefined,
  }
}

/** Charges the key, and says what IPASIS would. */
function answerTo({ method, path, token }: FakeCall, left: Map<string, number>): Answer {
  const remaining = left.get(token ?? '')
  if (token === undefined || remaining === undefined) return { status: 401, value: { error: 'Invalid API key' } }
  if (remaining < 1) return { status: 429, value: { error: 'Rate limit exceeded' } }
  const asked = /^\/v1\/([^/]+)$/.exec(pathnameOf(path))?.[1]
  if (method !== 'GET' || asked === undefined) return { status: 404, value: { error: 'Not found' } }
  left.set(token, remaining - 1)
  const text = asked === 'lookup' ? new URLSearchParams(path.slice(path.indexOf('?') + 1)).get('ip') : asked
  const address = parseAddress(text ?? '')
  if (address === undefined) return { status: 400, value: { error: 'Invalid IP address' } }
  return { status: 200, value: recordOf(subjectOf(address)) }
}

/** Its record has every field of its shape, empty where nothing is known, and capitals within modules. */
function recordOf(subject: Subject): object {
  const {
    org: _org,
    anycast: _anycast,
    carrier: _carrier,
    hostname: _hostname,
    ...record
  }: Record<string, unknown> = {
    ...planRecord(subject, 'business'),
  }
  const { total, domains } = modules.domains(subject)
  return {
    postal: '',
    ...record,
    asn: capitalised(modules.asn(subject)),
    company: capitalised(modules.company(subject)),
    privacy: capitalised(modules.privacy(subject)),
    abuse: capitalised(modules.abuse(subject)),
    domains: { Page: 0, Total: total, Domains: domains.length === 0 ? null : domains },
  }
}

const abbreviations = new Set(['asn', 'vpn'])

function capitalised(module: object): object {
  return Object.fromEntries(Object.entries(module).map(([name, value]) => [capitalisedName(name), value]))
}

function capitalisedName(name: string): string {
  return abbreviations.has(name) ? name.toUpperCase() : name.charAt(0).toUpperCase() + name.slice(1)
}
