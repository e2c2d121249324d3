import { afterEach, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { type Answer, type FixtureConfig, keepAlive, metricIn, startWorkers, type WorkerFleet } from './worker-fleet.ts'

const fleets: WorkerFleet[] = []
afterEach(async () => {
  await Promise.all(fleets.splice(0).map((fleet) => fleet.killAll()))
})

async function start(config?: Partial<FixtureConfig>): Promise<WorkerFleet> {
  const fleet = await startWorkers(config)
  fleets.push(fleet)
  return fleet
}

test('workers share one port, and take connections in turn', async () => {
  const fleet = await start()
  const pids = await fleet.pids(4)
  expect(pids).not.toContain(fleet.pid)
  const counts = new Map(pids.map((pid) => [pid, 0]))
  for (let turn = 0; turn < 40; turn++) {
    const { pid } = JSON.parse((await fleet.ask()).body)
    counts.set(pid, (counts.get(pid) ?? 0) + 1)
  }
  expect([...counts.values()].every((count) => count >= 8 && count <= 12)).toBe(true)
})

test('one line says where they listen and how many they are', async () => {
  const fleet = await start({ workers: 2 })
  const said = fleet.lines().filter(({ msg }) => msg === 'listening')
  expect(said).toEqual([expect.objectContaining({ host: '127.0.0.1', port: fleet.port, workers: 2 })])
})

test('a worker is given the configuration as it is, with what JSON does not know', async () => {
  const { ask } = await start({ workers: 2 })
  expect(JSON.parse((await ask()).body)).toMatchObject({ greeting: 'hello', workers: 2, endless: 'Infinity' })
})

test('whichever worker is scraped, the metrics are the sum of all, to the request', async () => {
  const fleet = await start()
  const client = async (): Promise<void> => {
    for (let turn = 0; turn < 25; turn++) await fleet.ask()
  }
  await Promise.all(Array.from({ length: 20 }, client))
  let scrapes = 0
  // A worker that stands still is not waited for: it counts by what it said last, until it runs again.
  const isSum = async (): Promise<boolean> => {
    scrapes += 1
    const { body } = await fleet.ask('/metrics')
    const counts = ['requests_total{path="/"}', 'd_seconds_bucket{le="1"}', 'd_seconds_count', 'ipfleet_edge_workers']
    return counts.map((series) => metricIn(body, series)).join() === [500, 500 + scrapes, 500 + scrapes, 4].join()
  }
  for (let turn = 0; turn < 4; turn++) await until(isSum)
})

test('a worker that is killed is replaced while requests go on, and no counter goes back', async () => {
  const fleet = await start()
  const [victim = 0, ...others] = await fleet.pids(4)
  const load = runLoad(fleet)
  await until(() => load.answered > 200)
  process.kill(victim, 'SIGKILL')
  await fleet.waitForLine(({ msg, pid }) => msg === 'a worker ended and is replaced' && pid === victim)
  const before = load.answered
  await until(() => load.answered > before + 200)
  await until(async () => (await fleet.metric('ipfleet_edge_workers')) === 4)
  const { faults, scrapes } = await load.end()
  // Only what the killed one had in hand is lost: a request of each of eight clients at most, and a scrape.
  expect(faults.length).toBeLessThanOrEqual(9)
  expect(scrapes.length).toBeGreaterThan(3)
  expect(scrapes).toEqual(scrapes.toSorted((a, b) => a - b))
  const now = await fleet.pids(4)
  expect(now).toEqual(expect.arrayContaining(others))
  expect(now).not.toContain(victim)
  expect(await fleet.metric('ipfleet_edge_worker_restarts_total')).toBe(1)
})

/** Eight clients that ask, and one that scrapes, until they are told to end. */
function runLoad(fleet: WorkerFleet) {
  const over = new AbortController()
  const faults: unknown[] = []
  const scrapes: number[] = []
  const repeat = async (act: () => Promise<unknown>): Promise<void> => {
    while (!over.signal.aborted) await act().catch((error: unknown) => faults.push(error))
  }
  const load = { answered: 0, end: async () => ({ faults, scrapes }) }
  const client = () => repeat(async () => (load.answered += Number((await fleet.ask()).status === 200)))
  const scraper = () => repeat(async () => scrapes.push((await fleet.metric('requests_total{path="/"}')) ?? Number.NaN))
  const all = Promise.all([scraper(), ...Array.from({ length: 8 }, client)])
  load.end = async () => {
    over.abort()
    await all
    return { faults, scrapes }
  }
  return load
}

test('a worker that ends by itself is replaced, and again', async () => {
  const fleet = await start({ workers: 2 })
  const first = await fleet.pids(2)
  await expect(fleet.ask('/exit')).rejects.toThrow()
  await until(async () => (await fleet.pids(2)).some((pid) => !first.includes(pid)))
  await expect(fleet.ask('/exit')).rejects.toThrow()
  await until(async () => (await fleet.metric('ipfleet_edge_worker_restarts_total')) === 2)
  expect(await fleet.waitForLine(({ msg }) => msg === 'a worker ended and is replaced')).toMatchObject({
    level: 'error',
    code: 7,
    signal: null,
  })
})

const outcomeOf = (asked: Promise<Answer>): Promise<string> =>
  asked.then(
    ({ status }) => String(status),
    () => 'reset',
  )

/** Asks eight times at once, until all but one are answered: a worker that takes nothing holds up just one. */
async function sevenOfEight(fleet: WorkerFleet): Promise<{ readonly outcomes: () => Promise<string[]> }> {
  const answered: unknown[] = []
  const asked = Array.from({ length: 8 }, () => fleet.ask().finally(() => answered.push(true)))
  const outcomes = Promise.all(asked.map(outcomeOf))
  await until(() => answered.length === 7)
  return { outcomes: () => outcomes }
}

test('a worker that hangs holds up neither the others nor a scrape, and its counts stay', async () => {
  const fleet = await start()
  const pids = await fleet.pids(4)
  // One that stood still meanwhile counts by what it said last: `pids` asks twelve times in each turn.
  const before = await until(async () => {
    const count = (await fleet.metric('requests_total{path="/"}')) ?? 0
    return count > 0 && count % 12 === 0 && count
  })
  const hanging = outcomeOf(fleet.ask('/loop'))
  await fleet.waitForLine(({ msg }) => msg === 'looping')
  const { outcomes } = await sevenOfEight(fleet)
  for (let turn = 0; turn < 13; turn++) expect((await fleet.ask()).status).toBe(200)
  await until(async () => (await fleet.metric('requests_total{path="/"}')) === before + 20)
  expect(await fleet.metric('ipfleet_edge_worker_silences_total')).toBeGreaterThan(0)
  const answering = await fleet.pids(3)
  for (const pid of pids) if (!answering.includes(pid)) process.kill(pid, 'SIGKILL')
  expect([await hanging, ...(await outcomes()).toSorted()]).toEqual(['reset', ...Array(7).fill('200'), 'reset'])
  await fleet.pids(4)
})

test('a connection that was being handed to a worker that dies is ended, not forgotten', async () => {
  const fleet = await start({ workers: 2 })
  const [victim = 0] = await fleet.pids(2)
  process.kill(victim, 'SIGSTOP')
  const { outcomes } = await sevenOfEight(fleet)
  process.kill(victim, 'SIGKILL')
  expect((await outcomes()).toSorted()).toEqual([...Array(7).fill('200'), 'reset'])
})

const kindsOf = (answers: readonly Answer[]) => answers.map(({ status }) => status).toSorted((a, b) => a - b)
const tenAndThen = (refused: number) => [...Array<number>(10).fill(200), ...Array<number>(refused).fill(429)]

/** Of four workers and a limit of ten. Without an answer of the primary within 500 ms each goes by its share. */
function expectTen(answers: readonly Answer[], tookMs: number): void {
  const allowed = answers.filter(({ status }) => status === 200).length
  const [least, most] = tookMs < 500 ? [10, 10] : [1, 10 + 4 * 2]
  expect(allowed).toBeGreaterThanOrEqual(least)
  expect(allowed).toBeLessThanOrEqual(most)
  expect(kindsOf(answers).slice(allowed)).toEqual(Array<number>(answers.length - allowed).fill(429))
}

test('four workers and a limit of ten: fifteen requests on as many connections give ten 200s and five 429s', async () => {
  const fleet = await start({ limit: 10 })
  const answers: Answer[] = []
  const beganMs = performance.now()
  for (let turn = 0; turn < 15; turn++) answers.push(await fleet.ask('/limited'))
  expectTen(answers, performance.now() - beganMs)
  expect(new Set(answers.map(({ body }) => JSON.parse(body).pid)).size).toBe(4)
})

const pidOf = ({ body }: Answer): number => JSON.parse(body).pid

test('sixty at a time get the same ten, and a worker that has refused a client does so from memory', async () => {
  const fleet = await start({ limit: 10 })
  const askEach = (count: number) => Promise.all(Array.from({ length: count }, () => fleet.ask('/limited')))
  const beganMs = performance.now()
  const together = await askEach(60)
  expectTen(together, performance.now() - beganMs)
  // Which worker takes how many of the sixty is chance: one that refused none has yet to ask.
  const refusers = new Set(together.filter(({ status }) => status === 429).map(pidOf))
  const later = (await askEach(8)).filter((answer) => refusers.has(pidOf(answer)))
  expect(later).not.toEqual([])
  for (const { body } of later) expect(JSON.parse(body)).toMatchObject({ kind: 'limited', limit: 10, fromMemory: true })
})

test('while the primary hangs a worker keeps to its share, and nobody waits for long', async () => {
  const fleet = await start({ limit: 40 })
  const agent = keepAlive()
  await fleet.ask('/', { agent })
  fleet.kill('SIGSTOP')
  const answers: Answer[] = []
  const tookMs: number[] = []
  for (let turn = 0; turn < 15; turn++) {
    const beganMs = performance.now()
    answers.push(await fleet.ask('/limited', { agent }))
    tookMs.push(performance.now() - beganMs)
  }
  // One waits for 500 ms; from then on the primary is not asked. The machine may hold up some others.
  expect(tookMs.filter((ms) => ms >= 490).length).toBeLessThan(8)
  expect(kindsOf(answers)).toEqual(tenAndThen(5))
  fleet.kill('SIGCONT')
  // What was let through meanwhile is reported: of forty, ten are gone.
  await until(async () => JSON.parse((await fleet.ask('/limited')).body).remaining < 30)
  agent.destroy()
})

test('one worker is this process: no other is started', async () => {
  const fleet = await start({ workers: 1, limit: 3 })
  expect(await fleet.pids(1)).toEqual([fleet.pid])
  const { body } = await fleet.ask('/metrics')
  expect(metricIn(body, 'requests_total{path="/"}')).toBe(3)
  expect(metricIn(body, 'ipfleet_edge_workers')).toBe(1)
  const answers: Answer[] = []
  for (let turn = 0; turn < 5; turn++) answers.push(await fleet.ask('/limited'))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429])
  expect(await fleet.stop()).toEqual({ code: 0, signal: null })
})
