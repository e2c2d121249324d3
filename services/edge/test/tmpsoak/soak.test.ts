import { expect, test } from '@jest/globals'
import { KeepAliveLoad } from '../keep-alive-load.ts'
import { startEchoBackend } from '../start-echo-backend.ts'
import { startEdge } from '../start-edge.ts'
test.each([['1', 1, ''], ['3', 3, ''], ['1 health', 1, '[health]\npath = "/"\ninterval_seconds = 0.2\n'], ['least', 1, 'L'], ['hash', 2, 'H']])('kills, %s', async (_n, workers, t) => {
  const ports = [21811, 21812]
  const bs = await Promise.all(ports.map((p) => startEchoBackend(p)))
  const up = t === 'L' ? 'balance = "least-requests"' : t === 'H' ? 'balance = "hash"' : ''
  const edge = await startEdge({ backends: ports, server: `workers = ${workers}`, upstreams: up, tables: `${t.length > 1 ? t : ''}[ejection]\nseconds = 0.3\nslow_start_seconds = 0.5` })
  const load = new KeepAliveLoad(edge.port, { pauseMs: 0 })
  await load.more(1000)
  for (let i = 0; i < 8; i++) {
    const k = i % 2
    bs[k]!.kill('SIGKILL')
    await bs[k]!.exited
    await load.more(500)
    bs[k] = await startEchoBackend(ports[k])
    if (t !== 'H') await load.moreFrom(`127.0.0.1:${ports[k]}`, 50)
    else await new Promise((r) => setTimeout(r, 3000))
  }
  await load.stop()
  const m = await (await fetch(`http://127.0.0.1:${edge.port}/metrics`)).text()
  console.log(_n, load.answered, load.faults.length, [...new Set(load.faults)].slice(0, 3), m.split('\n').filter(l => /^ipfleet_edge_(retries|ejections)/.test(l)))
  await edge.stop()
  for (const b of bs) await b.stop()
  expect(load.faults).toEqual([])
}, 90000)
