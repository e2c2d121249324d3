import { expect, test } from '@jest/globals'
import type { ServiceRow } from '../contract.ts'
import { type VerdictFacts, verdictOf } from './verdict.ts'

type Key = VerdictFacts['keys'][number]

const active: Key = { id: 'k', state: 'active', taken: 0, share: 1, weight: 1 }
const benched = (reason: NonNullable<Key['reason']>): Key => ({
  ...active,
  state: 'cooling',
  reason,
  share: 0,
  until: '2026-12-01T10:20:30.000Z',
})
const replica = (more: Partial<ServiceRow> = {}): ServiceRow => ({
  id: 'one:8080',
  service: 'lookup',
  version: '1',
  state: 'ok',
  startedAt: '2026-12-01T08:00:00.000Z',
  seenAt: '2026-12-01T10:00:00.000Z',
  ...more,
})
const well: VerdictFacts = {
  keys: [active, active, active],
  replicas: [replica(), replica({ id: 'two:8080' })],
  redis: [{ name: 'state', state: 'up', topology: 'server' }],
  breakers: [{ provider: 'ipinfo', state: 'closed' }],
  backends: [],
  sources: [],
}
const backend = {
  edge: 'e',
  group: 'lookup',
  address: 'r:80',
  state: 'down',
  inFlight: 0,
  lastError: 'refused',
} as const
const source = { egress: 'x', label: '192.0.2.1', state: 'benched', reason: 'no route', tunnels: 0 } as const
const gone = replica({ id: 'two:8080', state: 'gone', seenAt: '2026-12-01T09:00:00.000Z' })

test('a fleet that is well is green, with what is there', () => {
  expect(verdictOf(well)).toEqual({
    state: 'green',
    sentence: 'All is well: 3 of 3 keys ready, 2 replicas',
    others: [],
  })
  expect(verdictOf({ ...well, keys: [active, active, benched('limited')] }).state).toBe('green')
})

test.each<[string, Partial<VerdictFacts>, string, string]>([
  [
    'a storm of 429',
    { keys: [benched('limited'), benched('limited')] },
    'All 2 keys are benched: upstream answers 429 (over its rate limit); the first is back at 10:20:30 UTC',
    'IPINFO_KEYS',
  ],
  ['half of one', { keys: [benched('limited'), active] }, '1 of 2 keys are benched: upstream answers 429', 'add keys'],
  [
    'a storm that no key is to blame for',
    { breakers: [{ provider: 'ipinfo', state: 'open', reason: 'limited' }] },
    'ipinfo answers 429 with every key',
    'egress',
  ],
  [
    'an exhausted pool',
    { keys: [benched('exhausted')] },
    'The only key is benched: the quota is used up',
    'larger plan',
  ],
  ['refused keys', { keys: [benched('denied'), active, active] }, 'Upstream refuses 1 key of 3', 'Check the keys'],
  ['benched by hand', { keys: [benched('operator')] }, 'an operator has benched them', 'Release a key'],
  [
    'a stopped Redis',
    { redis: [{ name: 'state', state: 'down', topology: 'server', reason: 'start redis-server' }] },
    'Redis is away: each replica works for itself',
    'start redis-server',
  ],
  [
    'a stopped Redis of answers',
    { redis: [...well.redis, { name: 'cache', state: 'down', topology: 'server' }] },
    'The Redis of the answers is away',
    'Start it again',
  ],
  [
    'an open breaker',
    { breakers: [{ provider: 'ipinfo', state: 'open', reason: 'failing' }] },
    'ipinfo fails',
    'status page',
  ],
  [
    'a dead replica',
    { replicas: [replica(), gone] },
    'The replica two:8080 has not been seen since 09:00:00 UTC',
    'Start it',
  ],
  ['no backend', { backends: [backend] }, 'No backend of the group lookup is up at the edge e: refused', 'Start r:80'],
  ['no source', { sources: [source] }, 'All source addresses of the egress x are out: no route', 'addresses'],
  [
    'a process in trouble',
    { replicas: [replica({ service: 'bulk', state: 'degraded', reason: 'disk full' })] },
    'one:8080 of bulk: disk full',
    'log',
  ],
])('%s is red, with the first thing to do', (_name, facts, sentence, action) => {
  const verdict = verdictOf({ ...well, ...facts })
  expect(verdict).toMatchObject({ state: 'red', sentence: expect.stringContaining(sentence) })
  expect(verdict.action).toContain(action)
})

test.each<[string, Partial<VerdictFacts>]>([
  ['a replica that another one has replaced', { replicas: [gone, replica({ startedAt: '2026-12-01T09:30:00.000Z' })] }],
  ['one of two backends', { backends: [backend, { ...backend, state: 'up' }] }],
  ['one of two sources', { sources: [source, { ...source, state: 'up' }] }],
  ['a breaker that tries again', { breakers: [{ provider: 'ipinfo', state: 'half-open' }] }],
])('%s is not red', (_name, facts) => {
  expect(verdictOf({ ...well, ...facts }).state).toBe('green')
})

test('the most urgent comes first, and the others are told', () => {
  const redis = [{ name: 'state', state: 'down', topology: 'server' }] as const
  const { sentence, others } = verdictOf({ ...well, keys: [benched('limited')], redis, replicas: [replica(), gone] })
  expect(sentence).toContain('The only key is benched')
  expect(others).toEqual([expect.stringContaining('Redis is away'), expect.stringContaining('two:8080')])
})

test.each<[string, string, Partial<VerdictFacts>]>([
  ['an edge without backends', 'no backend of lookup is up', { backends: [backend] }],
  ['an egress without sources', 'every source address is out', { sources: [source] }],
])('%s is told once', (_name, reason, facts) => {
  const told = replica({ id: 'e', service: 'edge', state: 'degraded', reason })
  expect(verdictOf({ ...well, ...facts, replicas: [replica(), told] }).others).toEqual([])
})

test('an edge that knows no address of a group is told', () => {
  const told = replica({ id: 'e', service: 'edge', state: 'degraded', reason: 'no backend of lookup, bulk is up' })
  const { sentence, others } = verdictOf({ ...well, backends: [backend], replicas: [replica(), told] })
  expect([sentence, ...others]).toEqual([
    expect.stringContaining('No backend of the group lookup'),
    expect.stringContaining('no backend of lookup, bulk is up'),
  ])
})

test('old embedded data and missing keys are told on green', () => {
  const { state, action, others } = verdictOf({ ...well, keys: [], offlineWarning: 'the data are 182 days old' })
  expect([state, others.length]).toEqual(['green', 2])
  expect(action).toContain('OFFLINE_DB_URL')
})
