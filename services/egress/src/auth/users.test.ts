import { expect, test } from '@jest/globals'
import { readUsers } from './users.ts'

const hash = 'scrypt$N=16384,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g'

function usersOf(text: string) {
  const read = readUsers(text)
  if (read.kind === 'faults') throw new Error(JSON.stringify(read.faults))
  return [...read.users.values()]
}

test('a line is a user; comments and empty lines are none', () => {
  const users = usersOf(`# users\n\nalice:${hash}\r\n  bob-two:${hash}\n`)
  expect(users.map(({ name }) => name)).toEqual(['alice', 'bob-two'])
  expect(users[0]).toMatchObject({ limit: undefined, maxTunnels: undefined, allow: undefined })
})

test('options stand behind the hash, in any order', () => {
  const [user] = usersOf(`alice:${hash}  allow=10.0.0.0/8,Example.com,*.example.org tunnels=50 refill=0.5\tburst=20`)
  expect(user).toMatchObject({ limit: { burst: 20, refillPerSecond: 0.5 }, maxTunnels: 50 })
  const isAllowed = (name: string) => user?.allow?.hasName(name)
  expect([isAllowed('example.com'), isAllowed('a.example.org'), isAllowed('example.org')]).toEqual([true, true, false])
  expect(user?.allow?.hasAddress('10.1.2.3')).toBe(true)
})

test.each([
  ['*', ['192.0.2.1', 'de-1'], []],
  ['192.0.2.1,2001:DB8::/64,de-1', ['192.0.2.1', '2001:db8::5', 'de-1'], ['192.0.2.2', '2001:db9::1', 'de-2']],
])('ips=%s lets a user choose those', (ips, chosen, others) => {
  const [user] = usersOf(`alice:${hash} ips=${ips}`)
  expect(chosen.map((one) => user?.ips?.(one))).toEqual(chosen.map(() => true))
  expect(others.map((one) => user?.ips?.(one))).toEqual(others.map(() => false))
})

test('a burst without a refill leaves that to the settings', () => {
  expect(usersOf(`alice:${hash} burst=20`)).toMatchObject([{ limit: { burst: 20, refillPerSecond: undefined } }])
})

test('a file of nobody is valid', () => {
  expect(usersOf('')).toEqual([])
})

test('every bad line is told with its number and its reason', () => {
  const lines = [
    'alice',
    `:${hash}`,
    'bob:secret123',
    `bob:${hash} burst`,
    `bob:${hash} speed=5`,
    `bob:${hash} toString=5`,
    `bob:${hash} burst=0`,
    `bob:${hash} burst=1 refill=0`,
    `bob:${hash} refill=1`,
    `bob:${hash} burst=1 burst=2`,
    `bob:${hash} tunnels=-1`,
    `bob:${hash} allow=`,
    `bob:${hash} allow=127.1`,
    `bob:${hash} ips=192.0.2.1,127.1`,
    `bob:${hash}`,
    `bob:${hash}`,
    `${'x'.repeat(129)}:${hash}`,
  ]
  const noName = 'does not begin with a name of up to 128 characters and a colon'
  expect(readUsers(lines.join('\n'))).toEqual({
    kind: 'faults',
    faults: [
      { line: 1, message: noName },
      { line: 2, message: noName },
      { line: 3, message: 'there is no hash behind the name, as hash-password.ts prints it' },
      { line: 4, message: '"burst" is not one of burst=, tunnels=, refill=, allow=, ips=' },
      { line: 5, message: '"speed=5" is not one of burst=, tunnels=, refill=, allow=, ips=' },
      { line: 6, message: '"toString=5" is not one of burst=, tunnels=, refill=, allow=, ips=' },
      { line: 7, message: '"burst=0" has no value that burst may have' },
      { line: 8, message: '"refill=0" has no value that refill may have' },
      { line: 9, message: 'refill needs burst' },
      { line: 10, message: 'burst is there twice' },
      { line: 11, message: '"tunnels=-1" has no value that tunnels may have' },
      { line: 12, message: '"allow=" has no value that allow may have' },
      { line: 13, message: '"allow=127.1" has no value that allow may have' },
      { line: 14, message: '"ips=192.0.2.1,127.1" has no value that ips may have' },
      { line: 16, message: 'the user is there twice' },
      { line: 17, message: noName },
    ],
  })
})
