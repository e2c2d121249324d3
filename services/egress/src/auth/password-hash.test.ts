import { expect, test } from '@jest/globals'
import { hashPassword, isPasswordOf, readPasswordHash, showPasswordHash, unreachableHash } from './password-hash.ts'

const cheap = { N: 2, r: 1 }

test('a hash that was printed and read again is of its password and no other', async () => {
  const shown = showPasswordHash(await hashPassword('größer ☃: a', cheap))
  expect(shown).toMatch(/^scrypt\$N=2,r=1,p=1\$[\w-]{22}\$[\w-]{43}$/)
  const hash = readPasswordHash(shown)
  if (hash === undefined) throw new Error(`cannot be read: ${shown}`)
  expect(await isPasswordOf(hash, 'größer ☃: a')).toBe(true)
  expect(await isPasswordOf(hash, 'größer ☃: b')).toBe(false)
  expect(await isPasswordOf(hash, '')).toBe(false)
})

test('the same password has another hash each time, made at the usual cost', async () => {
  const shown = (await Promise.all([hashPassword('a'), hashPassword('a')])).map(showPasswordHash)
  expect(new Set(shown).size).toBe(2)
  expect(shown[0]).toMatch(/^scrypt\$N=16384,r=8,p=1\$/)
})

test('a hash of RFC 7914 §12 is read, in either alphabet of base64', async () => {
  const key =
    'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640'
  const bytes = Buffer.from(key, 'hex')
  const salt = Buffer.from('NaCl').toString('base64url')
  expect(readPasswordHash(`scrypt$N=1024,r=8,p=16$${salt}$${bytes.toString('base64')}`)).toBeUndefined()
  const long = { cost: { N: 1024, r: 8, p: 16 }, salt: Buffer.from('NaCl'), hash: bytes }
  expect(await isPasswordOf(long, 'password')).toBe(true)
  const padded = Buffer.from('16 bytes of salt').toString('base64')
  expect(readPasswordHash(`scrypt$N=1024,r=8,p=16$${padded}$${bytes.toString('base64')}`)?.hash).toEqual(bytes)
})

test('no password leads to the hash for users who are not there, which costs as much as that of others', async () => {
  const { cost } = await hashPassword('a', cheap)
  expect(unreachableHash({ cost }).cost).toEqual(cost)
  expect(await isPasswordOf(unreachableHash({ cost }), 'a')).toBe(false)
})

const salt = 'c2FsdHNhbHRzYWx0'
const hash = 'aGFzaGhhc2hoYXNoaGFzaGhhc2g'

test.each([
  '',
  'secret',
  `bcrypt$N=2,r=1,p=1$${salt}$${hash}`,
  `scrypt$N=3,r=1,p=1$${salt}$${hash}`,
  `scrypt$N=0,r=1,p=1$${salt}$${hash}`,
  `scrypt$N=1,r=1,p=1$${salt}$${hash}`,
  `scrypt$N=16777216,r=8,p=1$${salt}$${hash}`,
  `scrypt$N=2,r=0,p=1$${salt}$${hash}`,
  `scrypt$N=2,r=1$${salt}$${hash}`,
  `scrypt$N=2,r=1,p=1$${salt}`,
  `scrypt$N=2,r=1,p=1$$${hash}`,
  `scrypt$N=2,r=1,p=1$c2FsdA$${hash}`,
  `scrypt$N=2,r=1,p=1$${salt}$aGFzaA`,
  `scrypt$N=2,r=1,p=1$${salt}$${hash}!`,
  `scrypt$N=2,r=1,p=1$${salt}$${hash}$`,
])('%j is no hash', (text) => {
  expect(readPasswordHash(text)).toBeUndefined()
})
