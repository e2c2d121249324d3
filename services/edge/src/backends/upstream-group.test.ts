import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { HealthVerdict } from './health-check.ts'
import { backend, groupConfig, GroupFixture } from '../../test/upstream-group-fixture.ts'

const [a, b, c] = ['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:8080'] as const
const two = [backend('10.0.0.1'), backend('10.0.0.2')]
const three = [...two, backend('10.0.0.3')]

beforeEach(() => {
  // The monotonic clock is theirs too.
  jest.useFakeTimers()
})

const fixtures: GroupFixture[] = []

afterEach(() => {
  for (const { group } of fixtures.splice(0)) group.close()
  jest.useRealTimers()
})

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms)

async function started(...args: ConstructorParameters<typeof GroupFixture>): Promise<GroupFixture> {
  const fixture = new GroupFixture(...args)
  fixtures.push(fixture)
  await fixture.start()
  return fixture
}

test('six requests to two backends alternate', async () => {
  const fixture = await started(groupConfig({ backends: two }))
  expect(fixture.answers(6)).toEqual([a, b, a, b, a, b])
})

test('a request under way is counted at its backend until it is done, and not sent to one that was tried', async () => {
  const { group } = await started(groupConfig({ backends: two }))
  const first = group.pick('/', [])
  const second = group.pick('/', first ? [first] : [])
  expect([first?.id, first?.inFlight, second?.id, second?.inFlight]).toEqual([a, 1, b, 1])
  expect(group.pick('/', [first!, second!])).toBeUndefined()
  group.done(first!, 'unknown')
  expect(group.snapshots().map(({ inFlight }) => inFlight)).toEqual([0, 1])
})

test('failures in a row eject for a while; an answer in between forgives', async () => {
  const fixture = await started(groupConfig({ backends: two }))
  fixture.fail(a, 4)
  fixture.answers(2)
  fixture.fail(a, 4)
  fixture.told()
  expect(fixture.states()).toEqual({ [a]: 'up', [b]: 'up' })
  fixture.fail(a, 1)
  expect(fixture.told()).toEqual([['ejected', a, 10_000]])
  expect(fixture.answers(3)).toEqual([b, b, b])
  await pass(9999)
  expect(fixture.states()).toEqual({ [a]: 'ejected', [b]: 'up' })
  await pass(1)
  expect(fixture.told()).toEqual([['returned', a]])
  expect(fixture.share(a, 10)).toBe(5)
})

test('what says nothing of a backend does not count', async () => {
  const { group } = await started(groupConfig({ backends: two }))
  for (let sent = 0; sent < 50; sent += 1) group.done(group.pick('/', [])!, 'unknown')
  expect(group.snapshots().every(({ state }) => state === 'up')).toBe(true)
})

test('a repeat offender is left alone for longer, up to eight times as long, until it answers', async () => {
  const fixture = await started(groupConfig({ backends: two }))
  const durations: unknown[] = []
  for (let offence = 0; offence < 5; offence += 1) {
    fixture.fail(a, 5)
    const lastsMs = Number(fixture.told().at(-1)?.[2])
    durations.push(lastsMs)
    await pass(lastsMs)
  }
  expect(durations).toEqual([10_000, 20_000, 40_000, 80_000, 80_000])
  fixture.answers(2)
  fixture.fail(a, 5)
  expect(fixture.told().at(-1)).toEqual(['ejected', a, 10_000])
})

test.each([
  { backends: 1, maxPercent: 100, ejected: 0 },
  { backends: 2, maxPercent: 10, ejected: 1 },
  { backends: 2, maxPercent: 100, ejected: 1 },
  { backends: 2, maxPercent: 0, ejected: 0 },
  { backends: 5, maxPercent: 50, ejected: 2 },
  { backends: 5, maxPercent: 100, ejected: 4 },
])('of $backends that all fail, $ejected are ejected when $maxPercent % may be', async (row) => {
  const backends = Array.from({ length: row.backends }, (_, index) => backend(`10.0.0.${index + 1}`))
  const { group } = await started(groupConfig({ backends, ejection: { maxPercent: row.maxPercent } }))
  for (let sent = 0; sent < 200; sent += 1) group.done(group.pick('/', [])!, 'failed')
  expect(group.snapshots().filter(({ state }) => state === 'ejected')).toHaveLength(row.ejected)
})

test('no failures eject when that is switched off', async () => {
  const fixture = await started(groupConfig({ backends: two, ejection: { failures: 0 } }))
  fixture.fail(a, 50)
  expect(fixture.states()).toEqual({ [a]: 'up', [b]: 'up' })
})

test('who returns from an ejection gets its full share little by little', async () => {
  const fixture = await started(groupConfig({ backends: two, ejection: { slowStartMs: 10_000 } }))
  fixture.fail(a, 5)
  await pass(10_000)
  expect(fixture.group.snapshots()[0]?.effectiveWeight).toBeCloseTo(0.1)
  // 0.1 of 1.1
  expect(fixture.share(a, 1100)).toBe(100)
  await pass(5000)
  expect(fixture.group.snapshots()[0]?.effectiveWeight).toBeCloseTo(0.55)
  expect(fixture.share(a, 1550)).toBe(550)
  await pass(5000)
  expect(fixture.share(a, 1000)).toBe(500)
})

test('the last who is up is not ejected, and when it fails its checks the ejected are called back', async () => {
  const fixture = await started(groupConfig({ backends: two, health: { path: '/readyz', unhealthyAfter: 1 } }))
  await pass(0)
  fixture.fail(a, 5)
  fixture.verdicts.set('10.0.0.2', { kind: 'bad', reason: 'answered 503' })
  await pass(2000)
  expect(fixture.told().slice(-3)).toEqual([
    ['ejected', a, 10_000],
    ['unhealthy', b, 'answered 503'],
    ['returned', a],
  ])
  expect(fixture.answers(2)).toEqual([a, a])
})

/** Only the third of three is left. */
async function twoEjected(): Promise<GroupFixture> {
  const fixture = await started(groupConfig({ backends: three, ejection: { maxPercent: 100 } }))
  fixture.fail(a, 5)
  fixture.fail(b, 5)
  fixture.told()
  expect(fixture.group.pick('/', [fixture.group.pick('/', [])!])).toBeUndefined()
  return fixture
}

describe('when all that are up were tried, an ejected one is picked', () => {
  test('and is back when it answers, with no more to its account', async () => {
    const fixture = await twoEjected()
    const picked = fixture.group.pickEjected('/', [])
    expect(picked?.inFlight).toBe(1)
    fixture.group.done(picked!, 'answered')
    expect(fixture.told()).toEqual([['returned', picked?.id]])
    expect(fixture.states()).toMatchObject({ [picked!.id]: 'up' })
    await pass(10_000)
    fixture.told()
    fixture.fail(picked!.id, 5)
    expect(fixture.told()).toEqual([['ejected', picked?.id, 10_000]])
  })

  test('and stays away when it does not, for no longer than before', async () => {
    const fixture = await twoEjected()
    const first = fixture.group.pickEjected('/', [])
    const second = fixture.group.pickEjected('/', [first!])
    expect(new Set([first?.id, second?.id])).toEqual(new Set([a, b]))
    expect(fixture.group.pickEjected('/', [first!, second!])).toBeUndefined()
    fixture.group.done(first!, 'failed')
    fixture.group.done(second!, 'unknown')
    expect(fixture.told()).toEqual([])
    expect(fixture.states()).toMatchObject({ [a]: 'ejected', [b]: 'ejected' })
    await pass(10_000)
    expect(fixture.told()).toEqual([
      ['returned', a],
      ['returned', b],
    ])
  })

  test('but not who fails its checks, nor who has left meanwhile', async () => {
    const fixture = await started(groupConfig({ backends: two, health: { path: '/readyz', unhealthyAfter: 1 } }))
    fixture.verdicts.set('10.0.0.1', { kind: 'bad', reason: 'answered 503' })
    await pass(2000)
    expect(fixture.states()).toMatchObject({ [a]: 'unhealthy' })
    expect(fixture.group.pickEjected('/', [])).toBeUndefined()
    const other = await twoEjected()
    const picked = other.group.pickEjected('/', [])
    await other.group.configure(groupConfig({ backends: [backend('10.0.0.3')] }))
    other.told()
    other.group.done(picked!, 'answered')
    expect(other.told()).toEqual([])
    expect(other.states()).toEqual({ [c]: 'up' })
  })
})

test('a failed first check takes a backend out at once, later ones only in a row; good ones bring it back', async () => {
  const config = groupConfig({ backends: two, health: { path: '/readyz' } })
  const fixture = new GroupFixture(config)
  fixtures.push(fixture)
  const first = Promise.withResolvers<HealthVerdict>()
  fixture.verdicts.set('10.0.0.1', first.promise)
  await fixture.start()
  await pass(100)
  expect(fixture.answers(2)).toEqual([a, b])
  first.resolve({ kind: 'bad', reason: 'ECONNREFUSED' })
  await pass(0)
  expect(fixture.told().slice(2)).toEqual([['unhealthy', a, 'ECONNREFUSED']])
  expect(fixture.answers(2)).toEqual([b, b])
  fixture.verdicts.delete('10.0.0.1')
  await pass(1900)
  expect(fixture.told()).toEqual([])
  await pass(2000)
  expect(fixture.told()).toEqual([['healthy', a]])
  fixture.verdicts.set('10.0.0.1', { kind: 'bad', reason: 'answered 500' })
  await pass(4000)
  expect(fixture.told()).toEqual([])
  await pass(2000)
  expect(fixture.told()).toEqual([['unhealthy', a, 'answered 500']])
})

test('nobody answers when all fail their checks, and Retry-After is when they may be back', async () => {
  const fixture = await started(groupConfig({ backends: two, health: { path: '/readyz', intervalMs: 5000 } }))
  const bad = { kind: 'bad', reason: 'answered 503' } as const
  for (const address of ['10.0.0.1', '10.0.0.2']) fixture.verdicts.set(address, bad)
  expect(fixture.group.retryAfterSeconds()).toBe(1)
  await pass(15_000)
  expect(fixture.group.usable).toBe(false)
  expect(fixture.group.pick('/', [])).toBeUndefined()
  expect(fixture.group.retryAfterSeconds()).toBe(10)
  await pass(2500)
  expect(fixture.group.retryAfterSeconds()).toBe(8)
})

describe('when all are unhealthy,', () => {
  const health = { path: '/readyz', intervalMs: 1000, unhealthyAfter: 2 }
  const silent = { kind: 'bad', reason: 'no answer within 1000 ms', isSilent: true } as const

  test('those that are only late for their checks are asked all the same, as long as a client would wait', async () => {
    const fixture = await started(groupConfig({ backends: two, health, group: { answerTimeoutMs: 10_000 } }))
    await pass(0)
    for (const address of ['10.0.0.1', '10.0.0.2']) fixture.verdicts.set(address, silent)
    await pass(2100)
    expect(fixture.states()).toEqual({ [a]: 'unhealthy', [b]: 'unhealthy' })
    expect(fixture.share(a, 4)).toBe(2)
    expect(fixture.group.usable).toBe(true)
    expect(fixture.states()).toEqual({ [a]: 'unhealthy', [b]: 'unhealthy' })
    await pass(8000)
    expect([fixture.answers(1), fixture.group.usable]).toEqual([[undefined], false])
  })

  test('those that refuse or are not ready are not asked, whatever was said of them before', async () => {
    const fixture = await started(groupConfig({ backends: two, health }))
    await pass(0)
    for (const address of ['10.0.0.1', '10.0.0.2']) fixture.verdicts.set(address, silent)
    await pass(2100)
    fixture.verdicts.set('10.0.0.2', { kind: 'bad', reason: 'ECONNREFUSED' })
    await pass(1000)
    expect(fixture.answers(2)).toEqual([a, a])
    fixture.verdicts.set('10.0.0.1', { kind: 'bad', reason: 'answered 503' })
    await pass(1000)
    expect(fixture.answers(1)).toEqual([undefined])
  })

  test('and one that is well again gets all requests', async () => {
    const fixture = await started(groupConfig({ backends: two, health }))
    await pass(0)
    for (const address of ['10.0.0.1', '10.0.0.2']) fixture.verdicts.set(address, silent)
    await pass(2100)
    fixture.verdicts.delete('10.0.0.2')
    // One good answer is not enough to bring it back, and takes nothing from it.
    await pass(1000)
    expect(fixture.share(b, 4)).toBe(2)
    await pass(1000)
    expect(fixture.answers(3)).toEqual([b, b, b])
  })
})

test('a group can have a path of its own to check, or none', async () => {
  const asked: string[] = []
  const checkHealth = async ({ path }: { readonly path: string }) => {
    asked.push(path)
    return { kind: 'good' } as const
  }
  const health = { path: '/readyz' }
  await started(groupConfig({ backends: [backend('10.0.0.1')], health }), { checkHealth })
  await started(groupConfig({ backends: two, health, group: { healthPath: '/ping' } }), { checkHealth })
  await started(groupConfig({ backends: two, health, group: { healthPath: '' } }), { checkHealth })
  await pass(0)
  expect(asked).toEqual(['/readyz', '/ping', '/ping'])
})

test('a name has one backend for each address, and each the weight of the backend', async () => {
  const config = groupConfig({ backends: [backend('replicas', { weight: 2 }), backend('10.0.0.9')] })
  const fixture = new GroupFixture(config)
  fixtures.push(fixture)
  fixture.names.set('replicas', ['10.0.0.2', '::ffff:10.0.0.1', '10.0.0.2', 'FD00:0::1'])
  await fixture.start()
  expect(fixture.group.snapshots().map(({ id, effectiveWeight }) => [id, effectiveWeight])).toEqual([
    [a, 2],
    [b, 2],
    ['[fd00::1]:8080', 2],
    ['10.0.0.9:8080', 1],
  ])
  expect(fixture.lookUps).toEqual(['replicas'])
})

test('a name is looked up again, and whoever joins while others serve starts slowly', async () => {
  const config = groupConfig({ backends: [backend('replicas')], ejection: { slowStartMs: 10_000 } })
  const fixture = new GroupFixture(config)
  fixtures.push(fixture)
  fixture.names.set('replicas', ['10.0.0.1', '10.0.0.2'])
  await fixture.start()
  expect(fixture.group.snapshots().map(({ effectiveWeight }) => effectiveWeight)).toEqual([1, 1])
  fixture.told()
  fixture.names.set('replicas', ['10.0.0.3', '10.0.0.2'])
  await pass(10_000)
  expect(fixture.told()).toEqual([
    ['left', a],
    ['joined', c],
  ])
  expect(fixture.group.snapshots().map(({ effectiveWeight }) => effectiveWeight)).toEqual([1, 0.1])
  expect([...fixture.pools].map(([id, { isClosed }]) => [id, isClosed])).toEqual([
    [a, true],
    [b, false],
    [c, false],
  ])
})

test('a failed look-up leaves the backends that were there', async () => {
  const fixture = new GroupFixture(groupConfig({ backends: [backend('replicas')] }))
  fixtures.push(fixture)
  fixture.names.set('replicas', ['10.0.0.1'])
  await fixture.start()
  fixture.names.set('replicas', Object.assign(new Error('try again'), { code: 'EAI_AGAIN' }))
  await pass(10_000)
  expect(fixture.told()).toEqual([
    ['joined', a],
    ['unresolved', 'replicas', 'EAI_AGAIN'],
  ])
  expect(fixture.answers(1)).toEqual([a])
})

test('a name without an address in its answer is unresolved', async () => {
  const fixture = new GroupFixture(groupConfig({ backends: [backend('replicas')] }))
  fixtures.push(fixture)
  fixture.names.set('replicas', ['none'])
  await fixture.start()
  expect(fixture.told()).toEqual([['unresolved', 'replicas', 'ENODATA']])
})

test('a failure has the name looked up soon, but not more than once a second', async () => {
  const fixture = new GroupFixture(groupConfig({ backends: [backend('replicas')] }))
  fixtures.push(fixture)
  fixture.names.set('replicas', ['10.0.0.1', '10.0.0.2'])
  await fixture.start()
  await pass(400)
  fixture.fail(a, 3)
  await pass(599)
  expect(fixture.lookUps).toHaveLength(1)
  await pass(1)
  expect(fixture.lookUps).toHaveLength(2)
  await pass(5000)
  fixture.fail(a, 1)
  await pass(0)
  fixture.fail(a, 1)
  await pass(999)
  expect(fixture.lookUps).toHaveLength(3)
})

test('starts without DNS, and with it as soon as it is there', async () => {
  const fixture = await started(groupConfig({ backends: [backend('replicas')] }))
  expect(fixture.group.pick('/', [])).toBeUndefined()
  expect(fixture.group.retryAfterSeconds()).toBe(1)
  fixture.names.set('replicas', ['10.0.0.1'])
  await pass(1000)
  expect(fixture.answers(1)).toEqual([a])
})

test('does not wait longer than two seconds for DNS that hangs', async () => {
  const fixture = new GroupFixture(groupConfig({ backends: [backend('replicas'), backend('10.0.0.1')] }))
  fixtures.push(fixture)
  fixture.names.set('replicas', new Promise(() => {}))
  let isStarted = false
  void fixture.start().then(() => {
    isStarted = true
  })
  await pass(1999)
  expect(isStarted).toBe(false)
  await pass(1)
  expect(isStarted).toBe(true)
  expect(fixture.answers(1)).toEqual([a])
})

test('on a reload those who stay keep state, counts and pools, and those who go finish what they have begun', async () => {
  const fixture = await started(groupConfig({ backends: three }))
  fixture.fail(a, 5)
  const busy = fixture.group.pick('/', [])!
  const leaving = fixture.group.pick('/', [])!
  expect([busy.id, leaving.id].toSorted()).toEqual([b, c])
  const staying = busy.id === b ? busy : leaving
  const gone = staying === busy ? leaving : busy
  fixture.told()
  const backends = [backend('10.0.0.4'), backend('10.0.0.2', { weight: 3 }), backend('10.0.0.1')]
  await fixture.group.configure(groupConfig({ backends, group: { connectTimeoutMs: 77 } }))
  expect(fixture.told()).toEqual([
    ['left', c],
    ['joined', '10.0.0.4:8080'],
  ])
  expect(fixture.group.snapshots()).toMatchObject([
    { id: '10.0.0.4:8080', state: 'up', inFlight: 0 },
    { id: b, state: 'up', inFlight: 1, effectiveWeight: 3 },
    { id: a, state: 'ejected' },
  ])
  expect(fixture.pools.get(b)).toMatchObject({ connectTimeoutMs: 77, isClosed: false })
  expect(fixture.pools.get(c)).toMatchObject({ isClosed: true })
  for (let failed = 0; failed < 9; failed += 1) fixture.group.done(gone, 'failed')
  fixture.group.done(staying, 'answered')
  expect(fixture.told()).toEqual([])
  await pass(10_000)
  expect(fixture.told()).toEqual([['returned', a]])
})

test('a reload to a name waits for its addresses, so that no moment is without backends', async () => {
  const fixture = await started(groupConfig({ backends: [backend('10.0.0.1')] }))
  fixture.names.set('replicas', ['10.0.0.2'])
  const configured = fixture.group.configure(groupConfig({ backends: [backend('replicas')] }))
  expect(fixture.answers(1)).toEqual([a])
  await configured
  expect(fixture.answers(1)).toEqual([b])
})

test('of two reloads at once the later holds', async () => {
  const fixture = await started(groupConfig({ backends: [backend('10.0.0.1')] }))
  fixture.names.set('slow', ['10.0.0.2'])
  const earlier = fixture.group.configure(groupConfig({ backends: [backend('slow')] }))
  await Promise.all([earlier, fixture.group.configure(groupConfig({ backends: [backend('10.0.0.3')] }))])
  expect(Object.keys(fixture.states())).toEqual([c])
})

test('checks that a reload switches off are forgotten', async () => {
  const fixture = await started(groupConfig({ backends: two, health: { path: '/readyz', unhealthyAfter: 1 } }))
  fixture.verdicts.set('10.0.0.1', { kind: 'bad', reason: 'answered 503' })
  await pass(2000)
  expect(fixture.states()).toEqual({ [a]: 'unhealthy', [b]: 'up' })
  await fixture.group.configure(groupConfig({ backends: two }))
  expect(fixture.states()).toEqual({ [a]: 'up', [b]: 'up' })
})

test('the ejected are called back when a reload leaves nobody else', async () => {
  const fixture = await started(groupConfig({ backends: two }))
  fixture.fail(a, 5)
  await fixture.group.configure(groupConfig({ backends: [backend('10.0.0.1')] }))
  expect(fixture.answers(1)).toEqual([a])
})

test('a closed group has nobody, its pools are closed, and no timer is left', async () => {
  const fixture = new GroupFixture(groupConfig({ backends: [...two, backend('replicas')], health: { path: '/' } }))
  fixture.names.set('replicas', ['10.0.0.3'])
  await fixture.start()
  await pass(0)
  fixture.fail(a, 5)
  expect(jest.getTimerCount()).toBeGreaterThan(0)
  fixture.group.close()
  expect(jest.getTimerCount()).toBe(0)
  expect(fixture.group.pick('/', [])).toBeUndefined()
  expect([...fixture.pools.values()].every(({ isClosed }) => isClosed)).toBe(true)
})
