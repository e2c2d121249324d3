import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { ApiLimitError, IPinfoCoreWrapper, IPinfoLiteWrapper, IPinfoPlusWrapper, IPinfoWrapper } from 'node-ipinfo'
import { type LocalFleet, startLocalFleet } from './local-fleet.ts'

/**
 * IPinfo's own client for Node (npm `node-ipinfo`), with its base URL changed and nothing else. What it makes of the
 * fleet's answers is compared with what it makes of the fake IPinfo's own.
 */
const token = 'business-key'
/** More than a busy machine takes for the longest list. */
const patientMs = 30_000
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({
    keys: [token],
    fake: { keys: { [token]: { plan: 'business', toolsPerDay: 100 } } },
    env: {
      CLIENT_TOKENS: 'app=client-token,small=small-client-token;requests=2/hour',
      REQUEST_TIMEOUT_MS: String(patientMs),
    },
  })
})
afterEach(() => {
  fleet.fake.heal()
  fleet.fake.clearCalls()
})
afterAll(() => fleet.stop())

const base = (): string => fleet.replicas[0]?.url ?? ''

/** A client with an empty cache of its own: pointed at the fleet, or at the fake itself. */
function sdk(clientToken = 'client-token', timeoutMs = patientMs): IPinfoWrapper {
  return new IPinfoWrapper(clientToken, undefined, timeoutMs, undefined, base())
}
function direct(): IPinfoWrapper {
  return new IPinfoWrapper(token, undefined, patientMs, undefined, fleet.fake.url)
}

describe('lookupIp', () => {
  test.each(['8.8.8.8', '1.1.1.1', '9.9.9.9', '2001:4860:4860::8888'])('of %s is what IPinfo would say', async (ip) => {
    const expected = await direct().lookupIp(ip)
    expect(expected).toMatchObject({ ip, countryCode: expect.any(String), asn: { asn: expect.any(String) } })
    // The second time from the cache. A replica that stood still for the life of its lease keeps no answer at first.
    await until(async () => {
      fleet.fake.clearCalls()
      expect(await sdk().lookupIp(ip)).toEqual(expected)
      return fleet.fake.calls.length === 0
    })
  })

  test('of what is no address rejects as with IPinfo', async () => {
    // `lookupIp` itself looks at the address first.
    for (const client of [direct(), sdk()]) {
      expect((await failureOf(client.fetchApi('999.1.1.1/json'))).message).toContain('404 Not Found')
    }
  })
})

describe('lookupASN and lookupResproxy', () => {
  test.each(['AS15169', 'AS13335'])('%s is what IPinfo would say', async (asn) => {
    const expected = await direct().lookupASN(asn)
    expect(expected).toMatchObject({ asn, countryCode: expect.any(String), prefixes: expect.any(Array) })
    expect(await sdk().lookupASN(asn)).toEqual(expected)
  })

  test('an AS that is not there rejects', async () => {
    expect((await failureOf(sdk().lookupASN('AS64512'))).message).toContain('404 Not Found')
  })

  test('a residential proxy is what IPinfo would say', async () => {
    expect(await sdk().lookupResproxy('8.8.8.8')).toEqual(await direct().lookupResproxy('8.8.8.8'))
  })
})

describe('getBatch', () => {
  const kinds: readonly ((index: number) => string)[] = [
    (index) => `23.${index >> 8}.${index & 255}.1`,
    (index) => `23.${(index - 1) >> 8}.${(index - 1) & 255}.1/city`,
    (index) => `2600:${index.toString(16)}::1`,
    (index) => `lite/24.${index >> 8}.${index & 255}.1`,
    (index) => `AS${60_000 + index}`,
    (index) => `10.1.${index >> 8}.${index & 255}`,
    (index) => `lookup/25.${index >> 8}.${index & 255}.1`,
    (index) => `26.${index >> 8}.${index & 255}.1/privacy`,
    (index) => `999.${index}.1.1`,
    (index) => `27.${index >> 8}.${index & 255}.1/nonsense`,
  ]
  const mixed = Array.from({ length: 2500 }, (_, index) =>
    (kinds[index % kinds.length] as (at: number) => string)(index),
  )

  test('of 2,500 mixed items is what IPinfo would say, and nothing is asked twice', async () => {
    const expected = await direct().getBatch(mixed, 1000, patientMs)
    expect(Object.keys(expected).toSorted()).toEqual(mixed.toSorted())
    fleet.fake.clearCalls()
    // The client sends three batches at once; on a busy machine they take more than 5 s.
    expect(await sdk().getBatch(mixed, 1000, patientMs)).toEqual(expected)
    const asked = fleet.fake.calls.flatMap(({ path, items = [] }) => items.map((item) => `${path} ${item}`))
    expect(new Set(asked).size).toBe(asked.length)
    // Neither a reserved address nor what is none, nor the city out of a record that is asked anyway.
    expect(asked.length).toBeLessThanOrEqual((mixed.length / kinds.length) * 7)
    await until(async () => {
      fleet.fake.clearCalls()
      expect(await sdk().getBatch(mixed, 1000, patientMs)).toEqual(expected)
      return fleet.fake.calls.length === 0
    })
  })

  test('leaves out empty results when asked to', async () => {
    const items = ['8.8.8.8/postal', '10.0.0.1/city', '8.8.8.8', '9.9.9.9/resproxy']
    const expected = await direct().getBatch(items, 1000, patientMs, 0, true)
    expect(Object.keys(expected).length).toBeLessThan(items.length)
    expect(await sdk().getBatch(items, 1000, patientMs, 0, true)).toEqual(expected)
  })
})

test('getMap leads to a report of the fleet’s own', async () => {
  const ips = ['8.8.8.8', '1.1.1.1', 'nonsense']
  const { status } = await direct().getMap(ips)
  fleet.fake.clearCalls()
  const reportUrl = expect.stringMatching(new RegExp(`^${base()}/tools/map/`))
  expect(await sdk().getMap(ips)).toEqual({ status, reportUrl })
  expect(fleet.fake.calls.map(({ path }) => path)).not.toContain('/tools/map')
})

describe('the newer products', () => {
  const clients = {
    Lite: (url: string, key: string) => new IPinfoLiteWrapper(key, undefined, undefined, undefined, `${url}/lite`),
    Core: (url: string, key: string) => new IPinfoCoreWrapper(key, undefined, undefined, undefined, `${url}/lookup`),
    Plus: (url: string, key: string) => new IPinfoPlusWrapper(key, undefined, undefined, undefined, `${url}/plus`),
  }

  test.each(Object.entries(clients))('%s: lookupIp is what IPinfo would say', async (_, clientAt) => {
    for (const ip of ['8.8.8.8', '9.9.9.9', '2001:4860:4860::8888', '10.0.0.1']) {
      const expected = await clientAt(fleet.fake.apiUrl, token).lookupIp(ip)
      expect(await clientAt(base(), 'client-token').lookupIp(ip)).toEqual(expected)
    }
  })

  test('Lite without an address is about the caller', async () => {
    const own = await clients.Lite(base(), 'client-token').lookupIp()
    expect(own.ip).toBe('127.0.0.1')
    expect(own).toEqual(await clients.Lite(fleet.fake.apiUrl, token).lookupIp())
  })
})

describe('errors', () => {
  test('an unknown token is a 403, as with IPinfo, and goes nowhere', async () => {
    expect((await failureOf(sdk('unknown-client-token').lookupIp('8.8.4.4'))).message).toContain('403 Forbidden')
    expect(fleet.fake.calls).toEqual([])
  })

  test('a client over its budget gets the ApiLimitError', async () => {
    const small = sdk('small-client-token')
    await small.lookupIp('8.8.8.8')
    await small.lookupIp('1.1.1.1')
    expect(await failureOf(small.lookupIp('9.9.9.9'))).toBeInstanceOf(ApiLimitError)
  })

  test('keys that are over their limit concern no client; when all are, it is a 503', async () => {
    await using limited = await startLocalFleet({ keys: ['first', 'second'] })
    const client = new IPinfoWrapper('any', undefined, undefined, undefined, limited.replicas[0]?.url)
    limited.fake.behave({ kind: '429-storm', tokens: ['first'] })
    for (const ip of ['29.1.1.1', '29.1.1.2']) expect(await client.lookupIp(ip)).toMatchObject({ ip })
    limited.fake.behave({ kind: '429-storm' })
    const error = await failureOf(client.lookupIp('29.1.1.3'))
    expect(error.message).toContain('503 Service Unavailable')
    expect(error).not.toBeInstanceOf(ApiLimitError)
  })
})

describe('timeouts', () => {
  test('what a client gave up waiting for is there when it comes back, and was paid for once', async () => {
    const gate = fleet.fake.hold({ paths: ['/29.2.2.2'] })
    const arrived = fleet.fake.nextCall()
    const givenUp = failureOf(sdk('client-token', 2000).lookupIp('29.2.2.2'))
    await arrived
    expect(await givenUp).toMatchObject({ type: 'request-timeout' })
    gate.release()
    expect(await sdk().lookupIp('29.2.2.2')).toMatchObject({ ip: '29.2.2.2' })
    expect(fleet.fake.calls).toHaveLength(1)
  })

  test('so are a batch’s items', async () => {
    const gate = fleet.fake.hold({ paths: ['/batch'] })
    const arrived = fleet.fake.nextCall()
    const givenUp = failureOf(sdk().getBatch(['29.3.3.3', '29.3.3.4'], 1000, 2000))
    await arrived
    expect(await givenUp).toMatchObject({ type: 'request-timeout' })
    gate.release()
    expect(Object.keys(await sdk().getBatch(['29.3.3.3', '29.3.3.4']))).toHaveLength(2)
    expect(fleet.fake.calls).toHaveLength(1)
  })
})

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('did not reject')
}
