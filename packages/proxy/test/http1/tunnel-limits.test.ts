import type { Socket } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import type { TunnelReport } from '../../src/http1/tunnel.ts'
import { Tunnels, type TunnelsOptions } from '../../src/http1/tunnels.ts'
import { socketPair } from '@ipfleet/testing/socket-pair.ts'

const nothing = Buffer.alloc(0)
const opened: Socket[] = []
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy()
})

interface Stood {
  readonly client: Socket
  readonly server: Socket
  readonly report: () => Promise<TunnelReport>
  readonly reports: readonly TunnelReport[]
}

async function stand(tunnels: Tunnels): Promise<Stood> {
  const [[toClient, client], [toServer, server]] = [await socketPair(), await socketPair()]
  opened.push(toClient, client, toServer, server)
  for (const socket of [client, server]) socket.on('error', () => {})
  const reports: TunnelReport[] = []
  tunnels.join(toClient, toServer, { fromClient: nothing, fromServer: nothing }, (report) => reports.push(report))
  return { client, server, reports, report: () => until(() => reports[0]) }
}

async function standing(options: Partial<TunnelsOptions>): Promise<Stood & { readonly tunnels: Tunnels }> {
  const tunnels = new Tunnels({ idleMs: 10_000, ...options })
  return { tunnels, ...(await stand(tunnels)) }
}

function received(socket: Socket): () => string {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  return () => text
}

test('a tunnel may pass so many bytes, both ways together, and none after them', async () => {
  const { client, server, report } = await standing({ maxBytes: 10 })
  const [toClient, toServer] = [received(client), received(server)]
  client.write('four')
  await until(() => toServer() === 'four')
  server.write('six and more')
  expect(await report()).toMatchObject({ end: 'limit', bytesUp: 4, bytesDown: 6 })
  await until(() => toClient() === 'six an')
})

test('a tunnel may stand for so long, also while bytes pass', async () => {
  const { client, server, report } = await standing({ maxMs: 1500 })
  const talking = setInterval(() => client.write('x'), 20)
  const toServer = received(server)
  const { end, durationMs } = await report()
  clearInterval(talking)
  expect(end).toBe('limit')
  expect(durationMs).toBeGreaterThan(1499)
  expect(toServer()).toContain('x')
})

test.each([{}, { maxBytes: 0, maxMs: 0 }])('there is no end to what a tunnel may have, with %j', async (options) => {
  const { client, server, report, reports } = await standing(options)
  let bytes = 0
  server.on('data', (chunk: Buffer) => (bytes += chunk.length))
  client.write(Buffer.alloc(3_000_000))
  await until(() => bytes === 3_000_000)
  expect(reports).toEqual([])
  client.end()
  server.end()
  expect(await report()).toMatchObject({ end: 'closed', bytesUp: 3_000_000 })
})

test('limits that change hold for tunnels that stand', async () => {
  const { tunnels, client, report } = await standing({})
  tunnels.configure({ idleMs: 10_000, maxBytes: 3 })
  client.write('four')
  expect(await report()).toMatchObject({ end: 'limit', bytesUp: 3 })
})
