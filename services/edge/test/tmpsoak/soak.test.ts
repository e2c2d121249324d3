import { expect, test } from '@jest/globals'
import { startReplica } from '@ipfleet/testing/service-process.ts'
import { KeepAliveLoad } from '../keep-alive-load.ts'
import { startEchoBackend } from '../start-echo-backend.ts'
import { startEdge } from '../start-edge.ts'
test.each([1, 3, 1, 3, 1, 3, 1, 3])('stop hammered, %d', async (workers) => {
  const b = await startEchoBackend()
  const edge = await startEdge({ backends: [b.port], server: `workers = ${workers}`, env: { DRAIN_MS: '300', LOG_LEVEL: 'warn2'.slice(0, 4) === 'warn' ? 'info' : 'info' } })
  const load = new KeepAliveLoad(edge.port, { leavesWhenTold: true, pauseMs: 0 })
  await load.more(1000)
  edge.kill('SIGTERM')
  await load.left()
  const exit = await edge.exited
  await b.stop()
  console.log(workers, load.answered, load.faults.length, [...new Set(load.faults)].slice(0, 3), exit)
  expect(load.faults).toEqual([])
}, 60000)
test.each([1, 2])('rolling by default settings, %d', async (workers) => {
  const ports = [21801, 21802, 21803]
  const start = (p: number) => startReplica({ PORT: String(p) })
  const rs = await Promise.all(ports.map(start))
  const edge = await startEdge({ backends: ports, server: `workers = ${workers}`, tables: '[health]\npath = "/readyz"' })
  const load = new KeepAliveLoad(edge.port, { path: '/8.8.8.8', pauseMs: 5 })
  await load.more(500)
  for (const [i, r] of rs.entries()) {
    r.kill('SIGTERM')
    await r.exited
    rs[i] = await start(ports[i]!)
    await load.moreFrom(`127.0.0.1:${ports[i]}`, 50)
  }
  await load.stop()
  await edge.stop()
  for (const r of rs) await r.stop()
  console.log(workers, load.answered, load.faults.length, [...new Set(load.faults)].slice(0, 3))
  expect(load.faults).toEqual([])
}, 90000)
