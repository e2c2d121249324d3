import { describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import { readTargetItem } from '@ipfleet/net/target-list.ts'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { checkCallback, readCallback, webhookPolicy } from './webhook-target.ts'

const names: Readonly<Record<string, readonly string[]>> = {
  'public.test': ['93.184.215.14'],
  'private.test': ['10.0.0.1', 'fd00::1'],
  'wrapped.test': ['64:ff9b::a00:1'],
  'self.test': ['198.41.0.4'],
  localhost: ['127.0.0.1'],
}

const listOf = (items: string) => items.split(',').flatMap((item) => readTargetItem(item) ?? [])

async function lookUp(name: string) {
  const found = names[name]
  if (found === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  return found.map((address) => ({ address }))
}

function policy({ allow = '', deny = '' } = {}): TargetPolicy {
  const clock = manualClock()
  const own = new OwnAddresses({ clock, blocks: [], list: () => ['198.41.0.4', '10.9.9.9'] })
  own.addListener({ host: '0.0.0.0', port: 8082 })
  return webhookPolicy({ allow: listOf(allow), deny: listOf(deny), own, clock, lookUp })
}

/** The status and message of the refusal; undefined when the callback is taken. */
async function refusalOf(url: string, lists: { allow?: string; deny?: string } = {}): Promise<string | undefined> {
  try {
    await checkCallback(policy(lists), readCallback(url))
    return undefined
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    return `${error.status} ${error.code}: ${error.message}`
  }
}

describe('a callback at a private address is refused, however it is spelled', () => {
  test.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://0x7f000001/',
    'http://127.0.0.1./',
    'http://１２７.0.0.1/',
    'http://%31%32%37.0.0.1/',
    'http://0/',
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://168.63.129.16/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[0:0:0:0:0:ffff:a00:1]/',
    'http://[::127.0.0.1]/',
    'http://[fe80::1]/',
    'http://[fd00::1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[64:ff9b:1::a00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:a00:1::]/',
    'http://localhost/',
    'http://LOCALHOST./',
    'http://private.test/',
    'http://wrapped.test/',
  ])('%s', async (url) => {
    expect(await refusalOf(url)).toBe('403 target_refused: The callback must be at a public address')
  })
})

test('public callbacks are taken, and names that have no address yet', async () => {
  expect(await refusalOf('https://public.test/')).toBeUndefined()
  expect(await refusalOf('https://8.8.8.8:8443/')).toBeUndefined()
  expect(await refusalOf('https://nowhere.test/')).toBeUndefined()
})

test('a port at which there is no web server is refused', async () => {
  expect(await refusalOf('http://public.test:25/')).toMatch('must be at port 80 or 443, or at one from 1024 on')
  expect(await refusalOf('http://public.test:0/')).toMatch('must be at port')
})

test('a callback never leads back to this service, even when it is allowed', async () => {
  expect(await refusalOf('http://self.test:8082/jobs', { allow: 'self.test' })).toMatch('must not lead back')
  expect(await refusalOf('http://127.0.0.1:8082/jobs', { allow: 'loopback' })).toMatch('must not lead back')
  expect(await refusalOf('http://self.test/')).toMatch('must not lead back')
})

test('ALLOW_TARGETS lets private callbacks in, DENY_TARGETS keeps any out', async () => {
  expect(await refusalOf('http://10.0.0.1/', { allow: '10.0.0.0/8' })).toBeUndefined()
  expect(await refusalOf('http://private.test/', { allow: '.test' })).toBeUndefined()
  expect(await refusalOf('http://127.1/', { allow: 'loopback' })).toBeUndefined()
  expect(await refusalOf('https://public.test/', { deny: '.test' })).toMatch('does not call')
  expect(await refusalOf('http://10.0.0.1/', { allow: '10.0.0.0/8', deny: '10.0.0.1' })).toMatch('does not call')
})
