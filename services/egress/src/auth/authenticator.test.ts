import { describe, expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { Refusal } from '../proxy/proxy-status.ts'
import { targetAddress } from '@ipfleet/net/target.ts'
import { Authenticator, type Denied, type Verdict } from './authenticator.ts'
import { hashPassword, showPasswordHash } from './password-hash.ts'
import { readUsers, type Users } from './users.ts'

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const credentials = { user: 'test', password: 'secret123' }

async function linesOf(passwords: Readonly<Record<string, string>>, options = ''): Promise<string> {
  const lines = await Promise.all(
    Object.entries(passwords).map(async ([name, password]) => {
      return `${name}:${showPasswordHash(await hashPassword(password, { N: 1024, r: 1 }))} ${options}\n`
    }),
  )
  return lines.join('')
}

function usersIn(lines: string): Users {
  const read = readUsers(lines)
  if (read.kind === 'faults') throw new Error(JSON.stringify(read.faults))
  return read.users
}

const usersOf = async (...given: Parameters<typeof linesOf>): Promise<Users> => usersIn(await linesOf(...given))

interface Setup {
  readonly main?: typeof credentials
  readonly users?: () => Users | undefined
}

function authenticatorWith({ main, users = () => undefined }: Setup = {}) {
  const clock = manualClock()
  const authenticator = new Authenticator({ credentials: main, users, refillPerSecond: 0.5, clock })
  return { authenticator, clock }
}

const outcomesOf = (verdicts: readonly (Verdict | Promise<Verdict>)[]) =>
  Promise.all(verdicts.map(async (verdict) => outcomeOf(await verdict)))

/** What happened, in a word: the user who is let in, or why nobody is. */
function outcomeOf(verdict: Verdict): string | undefined {
  if (verdict.kind === 'accepted') return verdict.identity.user
  return verdict.kind === 'refused' ? verdict.reason : verdict.kind
}

const checkMain = (field: string | undefined) =>
  authenticatorWith({ main: credentials }).authenticator.check(field, 'c')

describe('with PROXY_USER and PROXY_PASS', () => {
  test('that pair is let in, at once', () => {
    expect(checkMain(basic('test', 'secret123'))).toEqual({
      kind: 'accepted',
      identity: {
        user: 'test',
        session: undefined,
        source: undefined,
        mayChoose: undefined,
        limit: undefined,
        maxTunnels: undefined,
        mayReach: undefined,
      },
    })
  })

  test('the user may ask for a session', () => {
    const session = { id: 'test/a', ttlSeconds: 60, hard: true }
    expect(checkMain(basic('test-session-a-ttl-60-hard', 'secret123'))).toMatchObject({ identity: { session } })
  })

  test.each([
    ['nothing', undefined, { kind: 'missing' }],
    ['an empty field', '', { kind: 'refused', reason: 'malformed' }],
    ['another scheme', 'Bearer secret123', { kind: 'refused', reason: 'malformed' }],
    ['another password', basic('test', 'secret124'), { kind: 'refused', reason: 'wrong_password', user: 'test' }],
    ['a longer one', basic('test', 'secret1234'), { kind: 'refused', reason: 'wrong_password', user: 'test' }],
    ['none', basic('test', ''), { kind: 'refused', reason: 'wrong_password', user: 'test' }],
    ['another user', basic('Test', 'secret123'), { kind: 'refused', reason: 'unknown_user', user: undefined }],
    [
      'an unknown option',
      basic('test-country-us', 'secret123'),
      { kind: 'refused', reason: 'bad_option', user: 'test', detail: 'option "country" is not known' },
    ],
    [
      'an unknown option with a wrong password',
      basic('test-country-us', 'x'),
      { kind: 'refused', reason: 'wrong_password', user: 'test' },
    ],
  ])('%s is not', (_, field, verdict) => {
    expect(checkMain(field)).toMatchObject(verdict)
  })
})

const aliceAmong = (users: Users) =>
  authenticatorWith({ users: () => users }).authenticator.check(basic('alice', 'a'), 'c')

describe('with users of a file', () => {
  test('each is let in with its own password; the first time is waited for, and then no more', async () => {
    const users = await usersOf({ alice: 'a', bob: 'b' })
    const { authenticator } = authenticatorWith({ users: () => users })
    const first = authenticator.check(basic('alice', 'a'), 'c')
    expect(first).toBeInstanceOf(Promise)
    expect(outcomeOf(await first)).toBe('alice')
    expect(authenticator.check(basic('alice-session-1', 'a'), 'c')).toMatchObject({ kind: 'accepted' })
    expect(outcomeOf(await authenticator.check(basic('alice', 'b'), 'c'))).toBe('wrong_password')
    expect(outcomeOf(await authenticator.check(basic('bob', 'b'), 'c'))).toBe('bob')
    expect(outcomeOf(await authenticator.check(basic('carol', 'a'), 'c'))).toBe('unknown_user')
  })

  test('PROXY_USER is let in besides them, and goes before one of the same name', async () => {
    const users = await usersOf({ alice: 'a', test: 't' })
    const { authenticator } = authenticatorWith({ main: credentials, users: () => users })
    expect(authenticator.check(basic('test', 'secret123'), 'c')).toMatchObject({ kind: 'accepted' })
    expect(outcomeOf(await authenticator.check(basic('test', 't'), 'c'))).toBe('wrong_password')
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('alice')
  })

  test('an unknown user costs a hash as well, and so does a wrong password of PROXY_USER', async () => {
    const users = await usersOf({ alice: 'a' })
    const { authenticator } = authenticatorWith({ main: credentials, users: () => users })
    for (const name of ['carol', 'test']) {
      const verdict = authenticator.check(basic(name, 'a'), 'c')
      expect(verdict).toBeInstanceOf(Promise)
      expect((await verdict).kind).toBe('refused')
    }
  })

  test('a changed file holds at once: passwords that were right are not remembered', async () => {
    let users = await usersOf({ alice: 'a' })
    const { authenticator } = authenticatorWith({ users: () => users })
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('alice')
    users = await usersOf({ alice: 'new' })
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('wrong_password')
    expect(outcomeOf(await authenticator.check(basic('alice', 'new'), 'c'))).toBe('alice')
    users = new Map()
    expect(outcomeOf(await authenticator.check(basic('alice', 'new'), 'c'))).toBe('unknown_user')
  })

  test('whose passwords a changed file keeps are not waited for again, however many there are', async () => {
    const passwords = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`user${index}`, `${index}`]))
    const lines = await linesOf(passwords)
    let users = usersIn(lines)
    const { authenticator } = authenticatorWith({ users: () => users })
    const fields = Object.entries(passwords).map(([name, password]) => basic(name, password))
    for (const field of fields) expect(await authenticator.check(field, 'c')).toMatchObject({ kind: 'accepted' })
    users = usersIn(lines + (await linesOf({ new: 'n' })))
    for (const field of fields) expect(authenticator.check(field, 'c')).toMatchObject({ kind: 'accepted' })
    expect(outcomeOf(await authenticator.check(basic('new', 'n'), 'c'))).toBe('new')
  })

  test('limits come with the user; without a refill of its own, that of everybody', async () => {
    const limited = await usersOf({ alice: 'a' }, 'burst=20 refill=2 tunnels=5')
    const half = await usersOf({ alice: 'a' }, 'burst=20')
    expect(await aliceAmong(limited)).toMatchObject({
      identity: { limit: { burst: 20, refillPerSecond: 2 }, maxTunnels: 5 },
    })
    expect(await aliceAmong(half)).toMatchObject({ identity: { limit: { burst: 20, refillPerSecond: 0.5 } } })
  })

  test('a user with an allow list may reach what is on it, by name or by address', async () => {
    const users = await usersOf({ alice: 'a' }, 'allow=.example.com,10.0.0.0/8')
    const verdict = await aliceAmong(users)
    if (verdict.kind !== 'accepted') throw new Error(verdict.kind)
    const mayReach = (host: string, address: string) => {
      const target = { host, port: 443, isAddress: host === address }
      return verdict.identity.mayReach?.(target)(targetAddress(address))
    }
    expect(mayReach('www.example.com', '8.8.8.8')).toBe(true)
    expect(mayReach('example.org', '10.0.0.1')).toBe(true)
    expect(mayReach('10.0.0.1', '10.0.0.1')).toBe(true)
    expect(mayReach('example.org', '8.8.8.8')).toBe(false)
    expect(mayReach('8.8.8.8', '8.8.8.8')).toBe(false)
  })
})

describe('with neither', () => {
  test.each([
    ['nothing', undefined, undefined],
    ['any pair', basic('any', 'body'), undefined],
    ['what is malformed', 'Basic !', undefined],
    ['a session', basic('any-session-a', ''), { id: 'any/a', ttlSeconds: undefined, hard: false }],
  ])('everybody is let in, with %s', (_, field, session) => {
    const verdict = authenticatorWith().authenticator.check(field, 'c')
    expect(verdict).toMatchObject({ kind: 'accepted', identity: { user: undefined, session } })
  })

  test('a session that cannot be had is told', () => {
    const verdict = authenticatorWith().authenticator.check(basic('any-session-a-ttl-x', ''), 'c')
    expect(verdict).toMatchObject({ kind: 'refused', reason: 'bad_option' })
  })
})

describe('a client that fails', () => {
  const wrong = basic('test', 'wrong')
  const right = basic('test', 'secret123')

  test('ten times is not looked at any more, until six seconds have passed for each further try', () => {
    const { authenticator, clock } = authenticatorWith({ main: credentials })
    for (let time = 0; time < 10; time += 1) expect(authenticator.check(wrong, 'c')).toMatchObject({ kind: 'refused' })
    expect(authenticator.check(right, 'c')).toEqual({ kind: 'limited', retryAfterMs: 6000 })
    expect(authenticator.check(right, 'other')).toMatchObject({ kind: 'accepted' })
    expect(authenticator.check(undefined, 'c')).toEqual({ kind: 'missing' })
    clock.advance(6000)
    expect(authenticator.check(right, 'c')).toMatchObject({ kind: 'accepted' })
    expect(authenticator.check(wrong, 'c')).toMatchObject({ kind: 'refused' })
    expect(authenticator.check(wrong, 'c')).toMatchObject({ kind: 'limited' })
  })

  test('does not shut out what has been let in from the same address, until it has guessed too often', async () => {
    const users = await usersOf({ alice: 'a' })
    const { authenticator } = authenticatorWith({ main: credentials, users: () => users })
    expect(authenticator.check(right, 'c')).toMatchObject({ kind: 'accepted' })
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('alice')
    for (let time = 0; time < 10; time += 1)
      expect(await authenticator.check(wrong, 'c')).toMatchObject({ kind: 'refused' })
    for (let time = 0; time < 100; time += 1) {
      expect(authenticator.check(wrong, 'c')).toMatchObject({ kind: 'limited' })
      if (time > 90) continue
      expect(authenticator.check(basic('test-session-b', 'secret123'), 'c')).toMatchObject({ kind: 'accepted' })
      expect(authenticator.check(basic('alice', 'a'), 'c')).toMatchObject({ kind: 'accepted' })
    }
    for (const field of [right, basic('alice', 'a')])
      expect(authenticator.check(field, 'c')).toMatchObject({ kind: 'limited' })
    expect(authenticator.check(right, 'other')).toMatchObject({ kind: 'accepted' })
  })

  test('is counted for malformed credentials and bad options too; not for none, and not when it succeeds', () => {
    const { authenticator } = authenticatorWith({ main: credentials })
    const fields = ['x', basic('test-x', 'secret123'), basic('nobody', ''), wrong]
    for (const field of fields) expect(authenticator.check(field, 'c')).toMatchObject({ kind: 'refused' })
    for (let time = 0; time < 20; time += 1) {
      expect(authenticator.check(undefined, 'c')).toMatchObject({ kind: 'missing' })
      expect(authenticator.check(right, 'c')).toMatchObject({ kind: 'accepted' })
    }
    for (let time = 0; time < 6; time += 1) expect(authenticator.check(wrong, 'c')).toMatchObject({ kind: 'refused' })
    expect(authenticator.check(wrong, 'c')).toMatchObject({ kind: 'limited' })
  })

  test('with many requests at once and one wrong password has failed once', async () => {
    const users = await usersOf({ alice: 'a' })
    const { authenticator } = authenticatorWith({ users: () => users })
    const many = Array.from({ length: 50 }, () => authenticator.check(basic('alice', 'x'), 'c'))
    expect(await outcomesOf(many)).toEqual(many.map(() => 'wrong_password'))
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('alice')
  })

  test('with many guesses at once is shut out for all of them', async () => {
    const users = await usersOf({ alice: 'a' })
    const { authenticator, clock } = authenticatorWith({ users: () => users })
    const many = Array.from({ length: 30 }, (_, index) => authenticator.check(basic('alice', `x${index}`), 'c'))
    expect(await outcomesOf(many)).toEqual(many.map(() => 'wrong_password'))
    clock.advance(119_000)
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('limited')
    clock.advance(8000)
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('alice')
  })

  test('cannot make others wait for ever: beyond a hundred passwords, no more are taken on', async () => {
    const users = await usersOf({ alice: 'a' })
    const { authenticator } = authenticatorWith({ users: () => users })
    const many = Array.from({ length: 110 }, (_, index) =>
      authenticator.check(basic('alice', `x${index}`), `c${index}`),
    )
    const outcomes = await outcomesOf(many)
    expect(outcomes.filter((outcome) => outcome === 'busy')).toHaveLength(8)
    expect(outcomeOf(await authenticator.check(basic('alice', 'a'), 'c'))).toBe('alice')
  })
})

async function refusalOf(authenticator: Authenticator, field: string | undefined, client = '192.0.2.1') {
  const thrown: unknown = await new Promise((resolve) => resolve(authenticator.identify(field, client))).catch(
    (error: unknown) => error,
  )
  if (!(thrown instanceof Refusal)) throw new Error('nobody refused')
  const { error, details } = thrown
  return { status: error.status, retryAfterSeconds: error.retryAfterSeconds, details, message: error.message }
}

describe('a request', () => {
  test('of somebody who is let in has an identity', async () => {
    const { authenticator } = authenticatorWith({ main: credentials })
    expect(await authenticator.identify(basic('test', 'secret123'), '192.0.2.1')).toMatchObject({
      user: 'test',
    })
  })

  test('is answered 407, the same whatever is wrong, and the log is told what', async () => {
    const { authenticator } = authenticatorWith({ main: credentials })
    const told: (readonly [string, Denied])[] = []
    authenticator.on('denied', (client, denied) => told.push([client, denied]))
    const fields = [undefined, 'x', basic('nobody', 'x'), basic('test', 'x'), basic('test-x', 'secret123')]
    const refusals = await Promise.all(fields.map((field) => refusalOf(authenticator, field)))
    expect(new Set(refusals.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(refusals[0]).toMatchObject({ status: 407, details: undefined })
    const reasons = told.map(([, denied]) => denied.kind === 'refused' && denied.reason)
    expect(reasons).toEqual(['malformed', 'unknown_user', 'wrong_password', 'bad_option'])
  })

  test('that comes when too many passwords wait to be checked is answered 503, and not told of wrong ones', async () => {
    const users = await usersOf({ alice: 'a' })
    const { authenticator } = authenticatorWith({ users: () => users })
    const many = Array.from({ length: 102 }, (_, index) => authenticator.check(basic('alice', `x${index}`), 'c'))
    expect(await refusalOf(authenticator, basic('alice', 'a'))).toMatchObject({
      status: 503,
      retryAfterSeconds: 1,
      message: expect.not.stringContaining('password'),
    })
    await outcomesOf(many)
  })

  test('after too many failures is answered 429 with the time to wait; a /64 counts as one client', async () => {
    const { authenticator } = authenticatorWith({ main: credentials })
    const clients = Array.from({ length: 10 }, (_, index) => `2001:db8:0:1::${index + 1}`)
    for (const client of clients) expect(await refusalOf(authenticator, 'x', client)).toMatchObject({ status: 407 })
    const right = basic('test', 'secret123')
    const limited = await refusalOf(authenticator, right, '2001:db8:0:1::ffff')
    expect(limited).toMatchObject({ status: 429, retryAfterSeconds: 6 })
    expect(await authenticator.identify(right, '2001:db8:0:2::1')).toMatchObject({ user: 'test' })
  })
})
