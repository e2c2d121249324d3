import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { type LookUp, NameLookups, systemLookUp } from './name-lookups.ts'

const notFound = Object.assign(new Error('not found'), { code: 'ENOTFOUND' })

/** Look-ups that end when the test says so. */
function heldLookUps() {
  const asked: { readonly name: string; readonly answer: PromiseWithResolvers<readonly { address: string }[]> }[] = []
  const lookUp: LookUp = (name) => {
    const answer = Promise.withResolvers<readonly { address: string }[]>()
    asked.push({ name, answer })
    return answer.promise
  }
  const end = (addresses: readonly string[]) => asked.at(-1)?.answer.resolve(addresses.map((address) => ({ address })))
  return { asked, lookUp, end, fail: () => asked.at(-1)?.answer.reject(notFound) }
}

function namesWith(lookUp: LookUp, timeoutMs = 10_000) {
  const clock = manualClock()
  return { clock, names: new NameLookups({ lookUp, clock, timeoutMs }) }
}

test('gives addresses in one spelling, each once, in the order of the answer, and none with a zone', async () => {
  const answer = ['2606:4700:0::1', '::ffff:192.0.2.1', 'fe80::1%eth0', '192.0.2.1', '2606:4700::1']
  const { names } = namesWith(async () => answer.map((address) => ({ address })))
  expect(await names.addressesOf('a.test')).toEqual({
    kind: 'addresses',
    addresses: [
      { address: '2606:4700::1', family: 6 },
      { address: '192.0.2.1', family: 4 },
    ],
  })
})

test('who asks for a name that is being looked up gets the same answer; who asks later, a new one', async () => {
  const { asked, lookUp, end } = heldLookUps()
  const { names } = namesWith(lookUp)
  const both = [1, 2].map(async () => names.addressesOf('a.test'))
  expect(asked).toHaveLength(1)
  end(['192.0.2.1'])
  const [first, second] = await Promise.all(both)
  expect(first).toEqual(second)
  const third = names.addressesOf('a.test')
  end(['192.0.2.2'])
  expect(await third).toMatchObject({ addresses: [{ address: '192.0.2.2' }] })
})

test('a name that was not found is not asked for again within a second', async () => {
  const { asked, lookUp, fail, end } = heldLookUps()
  const { names, clock } = namesWith(lookUp)
  const unresolved = { kind: 'unresolved', code: 'ENOTFOUND', timedOut: false }
  const first = names.addressesOf('a.test')
  fail()
  expect(await first).toEqual(unresolved)
  clock.advance(999)
  expect(await names.addressesOf('a.test')).toEqual(unresolved)
  expect(asked).toHaveLength(1)
  clock.advance(1)
  const later = names.addressesOf('a.test')
  end(['192.0.2.1'])
  expect(await later).toMatchObject({ kind: 'addresses' })
})

test('a name without addresses is not found', async () => {
  const { names } = namesWith(async () => [])
  expect(await names.addressesOf('a.test')).toEqual({ kind: 'unresolved', code: 'ENODATA', timedOut: false })
})

test('a look-up that takes too long is told as such, and goes on for whoever asks next', async () => {
  const { asked, lookUp, end } = heldLookUps()
  const { names } = namesWith(lookUp, 20)
  expect(await names.addressesOf('a.test')).toEqual({ kind: 'unresolved', code: 'ETIMEOUT', timedOut: true })
  const next = names.addressesOf('a.test')
  end(['192.0.2.1'])
  expect(await next).toMatchObject({ kind: 'addresses' })
  expect(asked).toHaveLength(1)
})

test('no more than ten thousand names are looked up at a time', async () => {
  const { asked, lookUp } = heldLookUps()
  const { names } = namesWith(lookUp, 20)
  const waiting = Array.from({ length: 10_000 }, async (_, index) => names.addressesOf(`${index}.test`))
  expect(await names.addressesOf('one-more.test')).toMatchObject({ code: 'EAI_AGAIN', timedOut: false })
  expect(asked).toHaveLength(10_000)
  await Promise.all(waiting)
})

test('the system knows localhost from its hosts file', async () => {
  const { names } = namesWith(systemLookUp)
  const found = await names.addressesOf('localhost')
  const addresses = found.kind === 'addresses' ? found.addresses.map(({ address }) => address) : []
  expect(addresses.length).toBeGreaterThan(0)
  expect(['127.0.0.1', '::1']).toEqual(expect.arrayContaining(addresses))
})
