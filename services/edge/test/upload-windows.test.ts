import { randomBytes } from 'node:crypto'
import type { ClientHttp2Session } from 'node:http2'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { h2Ask, h2Session } from './h2-ask.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** How far clients of HTTP/2 may send ahead (issue 17): enough for a long way, and bounded for all together. */
let backend: ServiceProcess
let certificate: TestCertificate
let edge: RunningEdge
let scarce: RunningEdge
const scarceBytes = 1_048_576
beforeAll(async () => {
  certificate = await testCertificate()
  backend = await startEchoBackend()
  const file = { backends: [backend.port], tables: certificate.toml }
  edge = await startEdge(file)
  scarce = await startEdge({ ...file, server: `max_window_bytes = ${scarceBytes}\nclient_share_percent = 100` })
})
afterAll(async () => {
  await Promise.all([edge?.stop(), scarce?.stop(), backend?.stop(), certificate?.[Symbol.asyncDispose]()])
})

const initialBytes = 65_535

/** Beyond what each connection begins with; what it is given goes out before the answer to the first ping. */
async function givenTo(session: ClientHttp2Session): Promise<{ connection: number; stream: number }> {
  const { promise, resolve } = Promise.withResolvers<void>()
  session.ping(() => resolve())
  await promise
  const { remoteSettings, state } = session
  const stream = (remoteSettings.initialWindowSize ?? 0) - initialBytes
  return { connection: (state.remoteWindowSize ?? 0) - initialBytes, stream }
}

test('a client may send 5 MB without waiting for a round trip', async () => {
  const session = await h2Session(edge.port, certificate.cert)
  const { connection, stream } = await givenTo(session)
  expect(Math.min(connection, stream)).toBeGreaterThan(5_000_000)
  const text = randomBytes(2_500_000).toString('hex')
  const { status, body } = await h2Ask(session, { ':path': '/', ':method': 'POST' }, text)
  expect([status, (JSON.parse(body) as { body: string }).body === text]).toEqual([200, true])
  session.close()
})

test('all connections share it, each leaves some, and a closed one gives it back', async () => {
  const sessions: ClientHttp2Session[] = []
  const given: number[] = []
  for (let count = 0; count < 12; count += 1) {
    const session = await h2Session(scarce.port, certificate.cert)
    sessions.push(session)
    const { connection, stream } = await givenTo(session)
    expect(connection).toBe(stream)
    given.push(connection)
  }
  const inAll = given.reduce((sum, bytes) => sum + bytes)
  expect([given[0], inAll <= scarceBytes, inAll > scarceBytes / 2]).toEqual([scarceBytes / 4, true, true])
  // One that has got nothing still serves uploads, and gets its part with the next one when there is some again.
  const last = sessions.pop() as ClientHttp2Session
  const upload = (): Promise<unknown> => h2Ask(last, { ':path': '/', ':method': 'POST' }, 'x'.repeat(200_000))
  await upload()
  for (const session of sessions) session.close()
  await until(async () => {
    await upload()
    return (await givenTo(last)).stream === scarceBytes / 4
  })
  last.close()
})
