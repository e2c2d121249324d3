import { describe, expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { readAuthority } from './authority.ts'
import { interleaved, TargetPolicy } from './target-policy.ts'
import { NameLookups } from './name-lookups.ts'
import { OwnAddresses } from './own-addresses.ts'
import { readPortRanges } from './port-ranges.ts'
import { readTargetItem, TargetList } from './target-list.ts'
import { targetAddress } from './target.ts'

const listOf = (...items: readonly string[]) => new TargetList(items.flatMap((item) => readTargetItem(item) ?? []))

interface Setup {
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
  readonly ports?: string
  readonly method?: 'connect' | 'forward'
}

/** What names stand for; each look-up takes the next of several answers. */
const names: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'public.test': [['93.184.215.14']],
  'loopback.test': [['127.0.0.1']],
  'private.test': [['10.0.0.1', 'fd00::1']],
  'wrapped.test': [['64:ff9b::a00:1']],
  'mixed.test': [['10.0.0.1', '2606:4700::1', '127.0.0.1', '93.184.215.14', '2606:4700::2']],
  'turning.test': [['93.184.215.14'], ['127.0.0.1']],
  'own.test': [['198.41.0.4']],
  localhost: [['::1', '127.0.0.1']],
  db: [['93.184.215.14']],
}

/** The whole name of what is found in a search domain. */
const searched: Readonly<Record<string, string>> = { db: 'db.corp.test' }

function policyWith({ allow = [], deny = [], ports = '443,80,1024-65535' }: Setup = {}) {
  const clock = manualClock()
  const asked: string[] = []
  const lookUp = async (name: string) => {
    const answers = names[name]
    if (answers === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
    asked.push(name)
    const answer = answers[asked.filter((one) => one === name).length - 1] ?? answers[0] ?? []
    const foundAs = searched[name]
    return answer.map((address) => ({ address, ...(foundAs !== undefined && { foundAs }) }))
  }
  const own = new OwnAddresses({ clock, blocks: ['2a00:1::/64'], list: () => ['198.41.0.4', '10.9.9.9'] })
  own.addListener({ host: '0.0.0.0', port: 7777 })
  const policy = new TargetPolicy({
    connectPorts: readPortRanges(ports) ?? [],
    allow: listOf(...allow),
    deny: listOf(...deny),
    own,
    names: new NameLookups({ lookUp, clock, timeoutMs: 1000 }),
  })
  return { policy, asked }
}

/** The addresses that may be dialled, or why none may. */
async function judged(authority: string, setup: Setup = {}) {
  const target = readAuthority(authority)
  if (target === undefined) throw new Error(`not an authority: ${authority}`)
  const verdict = await policyWith(setup).policy.judge(target, setup.method ?? 'connect')
  switch (verdict.kind) {
    case 'allowed':
      return verdict.addresses.map(({ address }) => address)
    case 'refused':
      return verdict.reason
    case 'unresolved':
      return verdict.code
  }
}

describe('public targets', () => {
  test('are dialled at the address that was looked up', async () => {
    expect(await judged('PUBLIC.test.:443')).toEqual(['93.184.215.14'])
    expect(await judged('8.8.8.8:443')).toEqual(['8.8.8.8'])
    expect(await judged('[2606:4700::1]:443')).toEqual(['2606:4700::1'])
  })

  test('a name that does not exist is unresolved, with the code of the system', async () => {
    expect(await judged('nowhere.test:443')).toBe('ENOTFOUND')
  })
})

describe('what is not public is refused:', () => {
  test.each([
    '127.0.0.1',
    '127.8.8.8',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '255.255.255.255',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::808:808]',
    '[2002:7f00:1::]',
    '[2001:0:808:808::f5ff:fffe]',
    '[::127.0.0.1]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    'localhost',
    'LOCALHOST.',
    'loopback.test',
    'private.test',
    'wrapped.test',
  ])('%s', async (host) => {
    expect(await judged(`${host}:443`)).toBe('private')
    expect(await judged(`${host}:80`, { method: 'forward' })).toBe('private')
  })
})

describe('names with several addresses', () => {
  test('are dialled at the public ones only, families taking turns', async () => {
    expect(await judged('mixed.test:443')).toEqual(['2606:4700::1', '93.184.215.14', '2606:4700::2'])
  })

  test('are dialled at all of them when the name is allowed', async () => {
    const addresses = ['10.0.0.1', '2606:4700::1', '127.0.0.1', '2606:4700::2', '93.184.215.14']
    expect(await judged('mixed.test:443', { allow: ['mixed.test'] })).toEqual(addresses)
  })

  test('are dialled at the allowed ones besides the public ones', async () => {
    const addresses = ['10.0.0.1', '2606:4700::1', '93.184.215.14', '2606:4700::2']
    expect(await judged('mixed.test:443', { allow: ['10.0.0.0/8'] })).toEqual(addresses)
  })

  test('lose the denied ones', async () => {
    expect(await judged('mixed.test:443', { deny: ['2606:4700::/32'] })).toEqual(['93.184.215.14'])
  })
})

test('a name is looked up once: it cannot be another address when it is dialled', async () => {
  const { policy, asked } = policyWith()
  const target = { host: 'turning.test', port: 443, isAddress: false }
  expect(await policy.judge(target, 'connect')).toEqual({
    kind: 'allowed',
    addresses: [{ address: '93.184.215.14', family: 4 }],
  })
  expect(asked).toEqual(['turning.test'])
  expect(await policy.judge(target, 'connect')).toEqual({ kind: 'refused', reason: 'private' })
})

describe('this machine', () => {
  test('is refused at its public addresses, by name too, and at those of the pool', async () => {
    expect(await judged('198.41.0.4:443')).toBe('own')
    expect(await judged('own.test:443')).toBe('own')
    expect(await judged('[2a00:1::5]:443')).toBe('own')
    expect(await judged('[64:ff9b::198.41.0.4]:443')).toBe('own')
  })

  test('may be allowed', async () => {
    expect(await judged('198.41.0.4:443', { allow: ['198.41.0.4'] })).toEqual(['198.41.0.4'])
    expect(await judged('own.test:443', { allow: ['own.test'] })).toEqual(['198.41.0.4'])
  })

  test.each(['127.0.0.1', '127.0.0.9', '0.0.0.0', '[::1]', '10.9.9.9', '198.41.0.4', 'localhost', 'own.test'])(
    'is refused at %s where the proxy itself listens, whatever is allowed',
    async (host) => {
      const allow = ['0.0.0.0/0', '::/0', 'localhost', 'own.test']
      expect(await judged(`${host}:7777`, { allow })).toBe('own')
      expect(await judged(`${host}:7779`, { allow })).not.toBe('own')
    },
  )
})

describe('ALLOW_TARGETS', () => {
  test('lifts the refusal of private addresses, by address and by name', async () => {
    expect(await judged('127.0.0.1:443', { allow: ['loopback'] })).toEqual(['127.0.0.1'])
    expect(await judged('loopback.test:443', { allow: ['127.0.0.0/8'] })).toEqual(['127.0.0.1'])
    expect(await judged('private.test:443', { allow: ['.test'] })).toEqual(['10.0.0.1', 'fd00::1'])
    expect(await judged('localhost:443', { allow: ['localhost'] })).toEqual(['::1', '127.0.0.1'])
  })

  test('does so for nothing else', async () => {
    expect(await judged('10.0.0.1:443', { allow: ['loopback'] })).toBe('private')
    expect(await judged('127.0.0.1:443', { allow: ['loopback.test'] })).toBe('private')
    expect(await judged('[64:ff9b::7f00:1]:443', { allow: ['127.0.0.0/8'] })).toBe('private')
  })

  test('lifts neither the ports nor DENY_TARGETS', async () => {
    expect(await judged('127.0.0.1:25', { allow: ['loopback'] })).toBe('port')
    expect(await judged('127.0.0.1:443', { allow: ['loopback'], deny: ['127.0.0.1'] })).toBe('denied')
    expect(await judged('private.test:443', { allow: ['private.test'], deny: ['.test'] })).toBe('denied')
  })
})

describe('DENY_TARGETS', () => {
  test.each(['db', 'db.corp.test', '.corp.test', '*.test'])(
    'refuses a name that a search domain completes, as %s',
    async (item) => {
      expect(await judged('db:443')).toEqual(['93.184.215.14'])
      expect(await judged('db:443', { deny: [item], allow: ['db'] })).toBe('denied')
    },
  )

  test('refuses names before they are looked up', async () => {
    const { policy, asked } = policyWith({ deny: ['*.test'] })
    const verdict = await policy.judge({ host: 'public.test', port: 443, isAddress: false }, 'forward')
    expect([verdict, asked]).toEqual([{ kind: 'refused', reason: 'denied' }, []])
  })

  test.each(['PUBLIC.test.', 'public.test', '93.184.215.14', '[::ffff:93.184.215.14]', '[64:ff9b::5db8:d70e]'])(
    'refuses the address of %s however it is spelled or wrapped',
    async (host) => {
      expect(await judged(`${host}:443`, { deny: ['93.184.215.14'] })).toBe('denied')
    },
  )
})

describe('CONNECT_PORTS', () => {
  test.each([
    ['443', 'connect', ['8.8.8.8']],
    ['80', 'connect', ['8.8.8.8']],
    ['1024', 'connect', ['8.8.8.8']],
    ['1023', 'connect', 'port'],
    ['25', 'connect', 'port'],
    ['25', 'forward', ['8.8.8.8']],
  ] as const)('port %s by %s: %j', async (port, method, expected) => {
    expect(await judged(`8.8.8.8:${port}`, { method })).toEqual(expected)
  })

  test('* is any', async () => {
    expect(await judged('8.8.8.8:25', { ports: '*' })).toEqual(['8.8.8.8'])
  })
})

test.each([
  [
    ['2001:db8::1', '2001:db8::2', '2001:db8::3', '192.0.2.1', '192.0.2.2'],
    ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '2001:db8::3'],
  ],
  [
    ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
    ['192.0.2.1', '2001:db8::1', '192.0.2.2'],
  ],
  [['192.0.2.1'], ['192.0.2.1']],
  [[], []],
])('%j are tried in the order %j', (given, order) => {
  expect(interleaved(given.map(targetAddress)).map(({ address }) => address)).toEqual(order)
})
