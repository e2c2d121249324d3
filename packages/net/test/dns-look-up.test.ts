import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { NameServer } from '@ipfleet/testing/name-server.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { until } from '@ipfleet/testing/until.ts'
import { dnsLookUp } from '../src/dns-look-up.ts'
import type { LookUp } from '../src/name-lookups.ts'

let server: NameServer
let folder: TemporaryFolder
let lookUp: LookUp
const file = (name: string): string => join(folder.path, name)

beforeAll(async () => {
  folder = await temporaryFolder('names')
  server = await NameServer.start({
    'both.test': { A: ['192.0.2.1', '192.0.2.2'], AAAA: ['2001:db8::1'], ttl: 30 },
    'ipv4.test': { A: ['192.0.2.3'] },
    'ipv6.test': { AAAA: ['2001:db8::3'] },
    'nothing.test': {},
    'alias.test': { CNAME: 'host.test', A: ['192.0.2.7'], loses: { A: 1 } },
    'late4.test': { A: ['192.0.2.8'], AAAA: ['2001:db8::8'], loses: { A: 1 } },
    'late6.test': { A: ['192.0.2.9'], AAAA: ['2001:db8::9'], loses: { AAAA: 1 } },
    'broken4.test': { AAAA: ['2001:db8::b'], breaks: 'A' },
    'later.test': { A: ['192.0.2.10'], AAAA: ['2001:db8::a'], loses: { A: Infinity } },
    'nowhere.test': { CNAME: 'nothing.test' },
    'broken.test': { rcode: 'SERVFAIL' },
    'dead.test': 'silence',
    'api.first.example': { A: ['192.0.2.4'] },
    'db.second.example': { A: ['192.0.2.5'] },
    'www.first.example': { rcode: 'SERVFAIL' },
    'www.second.example': { A: ['192.0.2.6'] },
  })
})
beforeEach(async () => {
  server.asked.length = 0
  await writeFile(file('hosts'), '127.0.0.1 localhost\n10.0.0.1 Db.Internal db # ours\n10.0.0.2 db\n# 10.0.0.3 off\n')
  await writeFile(
    file('resolv.conf'),
    'nameserver 192.0.2.53\nsearch gone.example\nsearch first.example second.example.\n',
  )
  lookUp = dnsLookUp({ hostsFile: file('hosts'), resolvConf: file('resolv.conf'), servers: [server.address] })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await folder.remove()
})

/** Of a machine whose connections leave from these addresses. */
const leavingFrom = (own: readonly string[]): LookUp =>
  dnsLookUp({
    hostsFile: file('hosts'),
    resolvConf: file('resolv.conf'),
    servers: [server.address],
    listOwn: () => own,
  })
const addressesOf = async (name: string): Promise<string[]> => (await lookUp(name)).map(({ address }) => address)
const codeOf = (name: string): Promise<unknown> =>
  lookUp(name).then(JSON.stringify, (error: { code?: string }) => error.code)

test('the family that this machine has public addresses of comes first; its interfaces are listed now and then', async () => {
  let nowMs = 0
  let own = ['127.0.0.1', 'fe80::1%eth0', '2606:4700::1']
  let listed = 0
  const listOwn = (): readonly string[] => {
    listed += 1
    return own
  }
  const ofFiles = { hostsFile: file('hosts'), resolvConf: file('resolv.conf'), servers: [server.address] }
  const look = dnsLookUp({ ...ofFiles, listOwn, nowMs: () => nowMs })
  // The second family is not waited for where it is slow.
  const first = async (): Promise<string | undefined> => {
    let found = await look('both.test')
    await until(async () => found.length === 3 || (found = await look('both.test')).length === 3)
    return found[0]?.address
  }
  expect(await first()).toBe('2001:db8::1')
  own = ['127.0.0.1', 'fe80::1%eth0']
  expect(await first()).toBe('2001:db8::1')
  expect(listed).toBe(1)
  nowMs = 5000
  expect(await first()).toMatch(/^192\.0\.2\./)
  expect(listed).toBe(2)
})

test('a name has the addresses of both families, and how long they may be kept', async () => {
  // The second family is not waited for where it is slow.
  const found = await until(async () => {
    const addresses = await lookUp('both.test')
    return addresses.length === 3 && addresses
  })
  expect(found.map(({ address }) => address).toSorted()).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1'])
  expect(found.map(({ ttlSeconds }) => ttlSeconds)).toEqual([30, 30, 30])
  expect(await addressesOf('ipv4.test')).toEqual(['192.0.2.3'])
  expect(await addressesOf('ipv6.test')).toEqual(['2001:db8::3'])
})

test.each([
  ['is not there', 'absent.a.test', 'ENOTFOUND'],
  ['has no addresses', 'nothing.test', /ENODATA|ENOTFOUND/],
  ['leads to one without addresses', 'nowhere.test', /ENODATA|ENOTFOUND/],
  ['has a broken server', 'broken.test', /ESERVFAIL|ENOTFOUND/],
])('a name that %s is told as such', async (_what, name, code) => {
  expect(await codeOf(name)).toMatch(code)
})

test('of an alias without addresses of one family, those of the other are waited for', async () => {
  // Not where this process stands still until the second question is given up as well.
  await until(async () => {
    server.asked.length = 0
    return (await codeOf('alias.test')) === '[{"address":"192.0.2.7","ttlSeconds":60}]'
  })
})

describe('of a name whose addresses of one family come late', () => {
  const [own4, own6] = ['198.51.100.1', '2606:4700::1']
  test.each([
    ['IPv4', [own4], 'late4.test', '192.0.2.8'],
    ['IPv6', [own6], 'late6.test', '2001:db8::9'],
  ])('those are waited for if connections leave by %s alone', async (_family, own, name, address) => {
    // Not where this process stands still until the second question is given up as well.
    await until(async () => {
      server.asked.length = 0
      const found = await leavingFrom(own)(name)
      return found.some((one) => one.address === address && one.ttlSeconds === 60)
    })
  })

  test('the others are not kept for long if those cannot be asked for', async () => {
    expect(await leavingFrom([own4])('broken4.test')).toEqual([{ address: '2001:db8::b', ttlSeconds: 1 }])
  })

  test('they are not waited for if connections leave by both, and the others not kept for long', async () => {
    expect(await leavingFrom([own4, own6])('later.test')).toEqual([{ address: '2001:db8::a', ttlSeconds: 1 }])
  })
})

test('names whose servers are silent hold up no other', async () => {
  // Not where this process stands still for as long as they are asked.
  await until(async () => {
    const dead = Array.from({ length: 20 }, () => codeOf('dead.test'))
    expect(await addressesOf('ipv4.test')).toEqual(['192.0.2.3'])
    const first = await Promise.race([dead[0], addressesOf('both.test').then(() => 'both')])
    expect(await Promise.all(dead)).toEqual(Array.from({ length: 20 }, () => 'ETIMEOUT'))
    return first === 'both'
  })
})

test('a process that can open no more files is not told that a server refused', async () => {
  const program = fileURLToPath(new URL('fixture-no-files.ts', import.meta.url))
  const limited = 'ulimit -n 64 && exec "$@"'
  const { stdout } = await promisify(execFile)('sh', ['-c', limited, 'sh', process.execPath, program])
  expect(stdout).toBe('EMFILE\n')
})

describe('the hosts file', () => {
  test('counts before any server, with all addresses of a name', async () => {
    expect(await addressesOf('db')).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(await addressesOf('db.internal')).toEqual(['10.0.0.1'])
    expect(server.asked).toEqual([])
  })

  test('is read again when it changes', async () => {
    expect(await addressesOf('db')).toHaveLength(2)
    await writeFile(file('hosts'), '10.0.0.9 db\n')
    await until(async () => (await addressesOf('db')).join() === '10.0.0.9')
  })

  test('need not be there', async () => {
    await rm(file('hosts'))
    expect(await addressesOf('ipv4.test')).toEqual(['192.0.2.3'])
  })
})

test.each(['localhost', 'a.localhost'])('%s is this machine, whatever anybody says', async (name) => {
  expect(await addressesOf(name)).toContain('127.0.0.1')
  expect(await codeOf('a.invalid')).toBe('ENOTFOUND')
  expect(server.asked).toEqual([])
})

describe('the domains of resolv.conf', () => {
  test('of the last line come first for a name with few dots, one after the other', async () => {
    expect(await addressesOf('api')).toEqual(['192.0.2.4'])
    expect(server.asked).toContain('api.first.example A')
    expect(server.asked).not.toContain('api A')
  })

  test('tell which whole name was found', async () => {
    expect((await lookUp('www')).map(({ foundAs }) => foundAs)).toEqual(['www.second.example'])
    expect((await lookUp('ipv4.test')).map(({ foundAs }) => foundAs)).toEqual([undefined])
  })

  test('a broken server of one domain does not hide the next', async () => {
    expect(await addressesOf('www')).toEqual(['192.0.2.6'])
  })

  test('come after the name itself if it has dots enough', async () => {
    expect(await addressesOf('ipv4.test')).toEqual(['192.0.2.3'])
    expect(server.asked).not.toContain('ipv4.test.first.example A')
    await writeFile(file('resolv.conf'), 'search first.example\noptions timeout:1 ndots:2\n')
    await until(async () => {
      await lookUp('ipv4.test')
      return server.asked.includes('ipv4.test.first.example A')
    })
  })
})
