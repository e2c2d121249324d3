/**
 * A proxy with two source addresses, with requests and tunnels under way from both of them when the system loses the
 * first. Prints what becomes of each. To be run in a network namespace that has the addresses.
 */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Ends, okHead, ProxyHarness, requestHead } from './proxy-harness.ts'
import { replyIn } from './through.ts'

const [lost = '', kept = ''] = process.argv.slice(2)
const harness = await ProxyHarness.start({ IP_POOL: `${lost},${kept}`, HEALTH_CHECK_INTERVAL_SECONDS: '0.2' })

/** What leaves from the address that will be lost. The other one of the two turns is ended. */
async function fromLost(ask: (attempt: number) => Promise<Ends>): Promise<Ends> {
  for (let attempt = 0; ; attempt += 1) {
    const ends = await ask(attempt)
    if (ends.server.socket.remoteAddress === lost) return ends
    ends.client.destroy()
    ends.server.destroy()
  }
}

const asked =
  (method: string, path: string, ...fields: readonly string[]) =>
  () =>
    harness.ask(requestHead(`${method} ${harness.url(path)}`, ...fields))

function hardSession(attempt: number): Promise<Ends> {
  const credentials = Buffer.from(`ann-session-s${attempt}-hard:any`).toString('base64')
  return harness.get('/hard', `Proxy-Authorization: Basic ${credentials}`)
}

const again: Readonly<Record<string, Ends>> = {
  '/get': await fromLost(asked('GET', '/get')),
  '/head': await fromLost(asked('HEAD', '/head')),
  '/delete': await fromLost(asked('DELETE', '/delete')),
  '/upgrade': await fromLost(asked('GET', '/upgrade', 'Connection: Upgrade', 'Upgrade: websocket')),
  '/put': await fromLost(asked('PUT', '/put', 'Content-Length: 5', 'Expect: 100-continue')),
}
const refused: Readonly<Record<string, Ends>> = {
  post: await fromLost(asked('POST', '/post')),
  'put that is sent': await fromLost(asked('PUT', '/sent', 'Content-Length: 5')),
  'get with half a head': await fromLost(asked('GET', '/half')),
  'hard session': await fromLost(hardSession),
}
refused['put that is sent']?.client.write('hello')
await refused['put that is sent']?.server.saw('hello')
refused['get with half a head']?.server.write('HTTP/1.1 200')
const answering = await fromLost(asked('GET', '/answering'))
answering.server.write(`${okHead('Content-Length: 10')}hello`)
await answering.client.saw('hello')
const tunnel = await fromLost(() => harness.tunnel())
const switched = await fromLost(() => harness.switched())
const otherTunnel = await harness.tunnel()
if (otherTunnel.server.socket.remoteAddress !== kept) throw new Error('the turns are not even')

const say = (line: string): boolean => process.stdout.write(`${line}\n`)
say('all are under way')
await promisify(execFile)('ip', ['addr', 'del', `${lost}/32`, 'dev', 'lo'])

for (let count = Object.keys(again).length; count > 0; count -= 1) {
  const server = await harness.accept()
  const [, path = ''] = /^\S+ (\S+)/.exec(await server.saw('\r\n\r\n')) ?? []
  if (path === '/put') {
    server.write('HTTP/1.1 100 Continue\r\n\r\n')
    await again[path]?.client.saw('100 Continue')
    again[path]?.client.write('hello')
    await server.saw('hello')
  }
  server.write(okHead('Content-Length: 0'))
}
for (const [path, { client }] of Object.entries(again)) {
  const text = (await client.saw(/HTTP\/1\.1 200[^]*\r\n\r\n/)).replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
  const { status, headers } = replyIn(text)
  say(`${path}: ${status} from ${headers['x-egress-ip']}`)
}
for (const [name, { client }] of Object.entries(refused)) {
  const { status, headers } = replyIn(await client.saw(/\r\n\r\n\{/))
  say(`${name}: ${status} ${headers['proxy-status']}`)
}
for (const [name, { client }] of Object.entries({ answering, tunnel, switched })) say(`${name}: ${await client.ended}`)
otherTunnel.client.write('still here')
await otherTunnel.server.saw('still here')
say('the tunnel from the other address is open')
process.on('SIGTERM', () => void harness[Symbol.asyncDispose]().then(() => process.exit(0)))
