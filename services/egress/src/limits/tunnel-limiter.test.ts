import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { type TunnelReport, Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import type { Source } from '../sources/source-pool.ts'
import { Refusal } from '../proxy/proxy-status.ts'
import { TunnelLimiter, type TunnelLimiterOptions, type TunnelSlot } from './client-limits.ts'
import { anybody } from '../auth/authenticator.ts'
import type { RequestContext } from '../proxy/request-record.ts'

function limiterWith(options: Partial<TunnelLimiterOptions>): TunnelLimiter {
  return new TunnelLimiter(
    new Tunnels({ idleMs: 10_000 }),
    { maxTunnels: 100, maxTunnelsPerClient: 0, ...options },
    { tunnelOpened() {}, tunnelEnded() {} },
  )
}

/** The status of the refusal; 0 when there is a slot. */
function statusOf(reserve: () => TunnelSlot): number {
  try {
    reserve()
    return 0
  } catch (error) {
    return error instanceof Refusal ? error.error.status : -1
  }
}

describe('slots', () => {
  test('of a client are limited, 429 beyond it, and free again when a tunnel has ended', () => {
    const tunnelLimiter = limiterWith({ maxTunnelsPerClient: 2 })
    const first = tunnelLimiter.reserve('192.0.2.1', anybody)
    tunnelLimiter.reserve('192.0.2.1', anybody)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.1', anybody))).toBe(429)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.2', anybody))).toBe(0)
    tunnelLimiter.release(first)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.1', anybody))).toBe(0)
  })

  test('of a user are the user’s, from whichever address', () => {
    const tunnelLimiter = limiterWith({ maxTunnelsPerClient: 1 })
    const alice = { ...anybody, user: 'alice' }
    tunnelLimiter.reserve('192.0.2.1', alice)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.2', alice))).toBe(429)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.1', { ...anybody, user: 'bob' }))).toBe(0)
  })

  test('of a user may be another number than that of everybody', () => {
    const tunnelLimiter = limiterWith({ maxTunnelsPerClient: 1 })
    const alice = { ...anybody, user: 'alice', maxTunnels: 2 }
    tunnelLimiter.reserve('192.0.2.1', alice)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.1', alice))).toBe(0)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.1', alice))).toBe(429)
  })

  test('in all are limited, 503 beyond it', () => {
    const tunnelLimiter = limiterWith({ maxTunnels: 2 })
    const first = tunnelLimiter.reserve('192.0.2.1', anybody)
    tunnelLimiter.reserve('192.0.2.2', anybody)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.3', anybody))).toBe(503)
    tunnelLimiter.release(first)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.3', anybody))).toBe(0)
  })

  test('are without end for a client when that is 0', () => {
    const tunnelLimiter = limiterWith({ maxTunnelsPerClient: 0 })
    for (let count = 0; count < 100; count += 1) tunnelLimiter.reserve('192.0.2.1', anybody)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.2', anybody))).toBe(503)
  })

  test('that are refused take nothing', () => {
    const tunnelLimiter = limiterWith({ maxTunnels: 1, maxTunnelsPerClient: 1 })
    const first = tunnelLimiter.reserve('192.0.2.1', anybody)
    for (const client of ['192.0.2.1', '192.0.2.2']) statusOf(() => tunnelLimiter.reserve(client, anybody))
    tunnelLimiter.release(first)
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.2', anybody))).toBe(0)
  })
})

describe('a tunnel', () => {
  const opened: Socket[] = []
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.destroy()
  })

  async function socketPair(): Promise<[Socket, Socket]> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
    const [far] = (await once(server, 'connection')) as [Socket]
    server.close()
    opened.push(near, far)
    return [near, far]
  }

  test('is announced, and counted until both sides have closed it', async () => {
    const begun: Source[] = []
    const closed: [RequestContext, TunnelReport][] = []
    const tunnelLimiter = new TunnelLimiter(
      new Tunnels({ idleMs: 10_000 }),
      { maxTunnels: 1, maxTunnelsPerClient: 0 },
      {
        tunnelOpened: (one) => void begun.push(one),
        tunnelEnded: (...all) => void closed.push(all),
      },
    )
    const [client, clientSide] = await socketPair()
    const [originSide, origin] = await socketPair()
    const ended: number[] = []
    // Of a context it uses no more than this.
    const context = { end: (status: number) => void ended.push(status) } as unknown as RequestContext
    const slot = tunnelLimiter.reserve('192.0.2.9', anybody)
    const source = { address: '192.0.2.1', family: 4, listedAs: '192.0.2.1' } as const
    const dialled = { kind: 'connected', socket: originSide, source, address: '192.0.2.2', durationMs: 1 } as const
    const near = { socket: clientSide, early: Buffer.from('early'), established: announced }
    tunnelLimiter.open(context, near, dialled, slot)
    expect(ended).toEqual([200])
    expect(begun).toEqual([source])
    const [sender, far] = [new Wire(client), new Wire(origin)]
    sender.write(' and late')
    sender.end()
    await far.ended
    far.write('answer')
    far.end()
    await sender.ended
    expect([far.text, sender.text]).toEqual(['early and late', 'from 192.0.2.1: answer'])
    await Promise.all([clientSide, originSide].map(async (socket) => socket.closed || once(socket, 'close')))
    const bytes = { bytesUp: 'early and late'.length, bytesDown: 'answer'.length }
    expect(closed).toEqual([[context, expect.objectContaining({ end: 'closed', ...bytes })]])
    expect(statusOf(() => tunnelLimiter.reserve('192.0.2.9', anybody))).toBe(0)
  })
})

function announced(from: Source): Buffer {
  return Buffer.from(`from ${from.address}: `)
}
