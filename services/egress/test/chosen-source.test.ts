import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { hashPassword, showPasswordHash } from '../src/auth/password-hash.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askInTunnel, askThrough, tunnelThrough } from './through.ts'

/** Source addresses that clients choose for themselves. */

let folder: TemporaryFolder
let origin: RecordingOrigin
let egress: RunningEgress
beforeAll(async () => {
  folder = await temporaryFolder('chosen')
  const file = join(folder.path, 'users')
  const hash = showPasswordHash(await hashPassword('pass', { N: 2, r: 1, p: 1 }))
  const lines = [`any:${hash} ips=*`, `some:${hash} ips=127.0.0.3,127.1.0.0/16,192.0.2.9`, `none:${hash}`]
  await writeFile(file, `${lines.join('\n')}\n`)
  origin = await RecordingOrigin.start()
  const pool = '127.0.0.2,127.0.0.3,127.0.0.4,127.1.0.0/16,192.0.2.9'
  egress = await startEgress({ IP_POOL: pool, USERS_FILE: file })
  await egress.waitForLine(({ msg, source }) => msg === 'source address is out' && source === '192.0.2.9')
})
beforeEach(() => origin.forget())
afterAll(async () => {
  await egress.stop()
  await origin[Symbol.asyncDispose]()
  await folder.remove()
})

interface Choice {
  readonly user: string
  readonly field?: string
}

const optionsFor = ({ user, field }: Choice) => ({
  user: `${user}:pass`,
  ...(field !== undefined && { headers: { 'X-Egress-IP': field } }),
})

test.each<[Choice, string]>([
  [{ user: 'any-ip-127.0.0.4' }, '127.0.0.4'],
  [{ user: 'any-ip-127.0.0.4-session-a' }, '127.0.0.4'],
  [{ user: 'any', field: '127.0.0.4' }, '127.0.0.4'],
  [{ user: 'any-session-a', field: '127.0.0.2' }, '127.0.0.2'],
  [{ user: 'any', field: '::ffff:127.0.0.2' }, '127.0.0.2'],
  [{ user: 'some-ip-127.0.0.3' }, '127.0.0.3'],
  [{ user: 'some', field: '127.1.2.3' }, '127.1.2.3'],
])('%j leaves from %s each time, and no origin is told of the wish', async (choice, address) => {
  const options = optionsFor(choice)
  for (let turn = 0; turn < 2; turn += 1) {
    const { headers, body } = await askThrough(egress.port, origin.url, options)
    expect([headers['x-egress-ip'], body]).toEqual([address, address])
    const tunnel = await tunnelThrough(egress.port, origin.authority, options)
    expect(tunnel.headers['x-egress-ip']).toBe(address)
    expect((await askInTunnel(tunnel, 'a.test')).body).toBe(address)
  }
  expect(JSON.stringify(origin.arrivals)).not.toMatch(/egress.ip/i)
})

test.each<[string, Choice]>([
  ['who may choose none', { user: 'none', field: '127.0.0.2' }],
  ['who may choose none, by name', { user: 'none-ip-127.0.0.2' }],
  ['who may choose others', { user: 'some', field: '127.0.0.2' }],
  ['who chooses what is not in the pool', { user: 'any', field: '127.0.0.9' }],
  ['who chooses no address', { user: 'any', field: '127.0.0.2, 127.0.0.3' }],
  ['who chooses nothing', { user: 'any', field: '' }],
])('a user %s is refused with 403, and nothing is dialled', async (_what, choice) => {
  const options = optionsFor(choice)
  const replies = [
    await askThrough(egress.port, origin.url, options),
    await tunnelThrough(egress.port, origin.authority, options),
  ]
  for (const { status, headers } of replies) {
    expect(status).toBe(403)
    expect(headers['proxy-status']).toBe('ipfleet-egress; error=http_request_denied; details="source address"')
  }
  expect(origin.connections).toBe(0)
})

test('an address that is out is not replaced by another one', async () => {
  const { status, headers } = await askThrough(egress.port, origin.url, optionsFor({ user: 'any-ip-192.0.2.9' }))
  expect([status, headers['proxy-status']]).toEqual([502, expect.stringContaining('error=destination_unavailable')])
})

test('a client without a wish goes on in turn, and the field is nobody’s without one', async () => {
  const fields = { user: 'none:pass', headers: { x_egress_ip: '127.0.0.2' } }
  const seen = new Set<string>()
  // One of them may have taken the turn of the address that is out.
  for (let turn = 0; turn < 3; turn += 1) seen.add((await askThrough(egress.port, origin.url, fields)).body)
  expect(seen.size).toBeGreaterThan(1)
  expect(JSON.stringify(origin.arrivals)).not.toMatch(/egress.ip/i)
})

test.each([
  ['any-ip-127.0.0.4', 0],
  ['none-ip-127.0.0.4', 2],
])('by SOCKS5, %s is told %d', async (user, code) => {
  const client = await Wire.to(egress.port)
  client.write('\x05\x01\x02')
  await client.saw('\x05\x02')
  client.write(`\x01${String.fromCharCode(user.length)}${user}\x04pass`)
  await client.saw('\x01\x00')
  client.write(`\x05\x01\x00\x01\x7f\x00\x00\x01${String.fromCharCode(origin.port >> 8, origin.port & 255)}`)
  await client.saw(`\x05${String.fromCharCode(code)}\x00\x01`)
  client.destroy()
})
