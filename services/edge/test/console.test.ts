import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** `/console` of the replicas, by the edge: closed unless it is opened, and no way to anything else. */
let replica: RecordingBackend
let closed: RunningEdge
let open: RunningEdge
let elsewhere: RunningEdge
beforeAll(async () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage'
  replica = await RecordingBackend.start((_request, socket) => void socket.write(answer))
  const env = { ADMIN_TOKEN: 'edge-admin-token' }
  const file = { backends: [replica.port], env }
  const tables = '[console]\nenabled = true\n'
  ;[closed, open, elsewhere] = await Promise.all([
    startEdge({ ...file, server: 'hidden_paths = ["/internal"]' }),
    startEdge({ ...file, tables }),
    startEdge({ ...file, tables: `${tables}allow = ["192.0.2.0/24"]` }),
  ])
})
afterAll(async () => {
  await Promise.all([closed, open, elsewhere].map((edge) => edge.stop()))
  await replica[Symbol.asyncDispose]()
})
beforeEach(() => replica.forget())

const statusAt = async (edge: RunningEdge, path: string): Promise<number> => (await ask(edge.port, path)).status

describe.each(['/console', '/console/', '/console/page.ts', '/console/api/overview?x=/../keys'])('%s', (path) => {
  test('reaches a replica where it is opened, with what says that it came by a proxy', async () => {
    expect(await statusAt(open, path)).toBe(200)
    const { fields } = replica.requests[0] ?? {}
    expect(JSON.stringify(fields).toLowerCase()).toContain('x-forwarded-for')
  })

  test('is not there where it is not opened, also with other hidden paths, nor for clients that are not allowed', async () => {
    expect([await statusAt(closed, path), await statusAt(elsewhere, path)]).toEqual([404, 404])
    expect(replica.requests).toHaveLength(0)
  })
})

test.each([
  '/console/../keys',
  '/console/%2e%2e/keys',
  '/console/..%2fkeys',
  '/console/..;/keys',
  '/console/.%2e/stats',
  '/console//keys',
  '/console\\..\\keys',
  '/console%2f..%2fkeys',
  '/console/%2e%2e%2fcache',
  '/console/.../admin',
  '//console/metrics',
  '/x/../console/../keys',
  '/CONSOLE/api/keys',
  '/Console',
  '/%63onsole/api/keys',
  '/console;a/keys',
  '/console#/keys',
])('no hidden path is reached by %s', async (path) => {
  expect([400, 404]).toContain(await statusAt(open, path))
  expect(replica.requests).toHaveLength(0)
})

test('keys of the console are below it, those of operators stay hidden', async () => {
  expect(await statusAt(open, '/console/api/keys/0a1b/bench')).toBe(200)
  expect(await statusAt(open, '/keys')).toBe(404)
})

test('without ADMIN_TOKEN it is not opened, and the edge says so at its start', async () => {
  await expect(startEdge({ backends: [replica.port], tables: '[console]\nenabled = true' })).rejects.toThrow(
    /console\.enabled: needs ADMIN_TOKEN in the environment/,
  )
})
