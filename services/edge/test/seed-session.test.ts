import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { isPortFree } from '@ipfleet/testing/service-process-port.ts'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { ask, askInTurn } from './ask.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdgeFrom } from './start-edge.ts'

/** What the first user of such a proxy does with it, by its own configuration file. */

let backends: readonly ServiceProcess[]
let edge: RunningEdge

beforeAll(async () => {
  backends = [await startEchoBackend(await freePort(8000)), await startEchoBackend(await freePort(8001))]
  const toml = await readFile(new URL('../config/proxy.toml', import.meta.url), 'utf8')
  const [first, second] = backends.map(({ port }) => port)
  const listen = `127.0.0.1:${await freePort(8080)}`
  edge = await startEdgeFrom(
    toml
      .replace('0.0.0.0:8080', listen)
      .replace('127.0.0.1:8000', `127.0.0.1:${first}`)
      .replace('127.0.0.1:8001', `127.0.0.1:${second}`),
  )
})
afterAll(async () => {
  await edge.stop()
  for (const backend of backends) await backend.stop()
})

let clients = 1
/** An address that has asked nothing yet: each has ten requests a minute. */
const newClient = (): string => `127.0.0.${++clients}`

/** The port, unless it is taken. */
async function freePort(port: number): Promise<number> {
  return (await isPortFree(port)) ? port : 0
}

test('four processes serve, and six requests alternate between the two backends', async () => {
  expect(edge.lines().find(({ msg }) => msg === 'listening')).toMatchObject({ workers: 4 })
  const replies = await askInTurn(edge.port, 6, { from: newClient() })
  const names = replies.map(({ body }) => JSON.parse(body).backend)
  const [one, other] = names
  expect(names).toEqual([one, other, one, other, one, other])
  expect([one, other].toSorted()).toEqual(backends.map(({ port }) => `127.0.0.1:${port}`).toSorted())
})
