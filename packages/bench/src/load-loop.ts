import { Agent } from 'node:http'
import { ask } from './ask.ts'
import type { Load } from './load.ts'

/** The load for machines without `wrk`: node load-loop.ts '{"url":…,"targets":[…],"connections":…,"seconds":…}' */

const load: Load = JSON.parse(process.argv[2] ?? '{}')
const agent = new Agent({ keepAlive: true, maxSockets: load.connections })
const untilMs = performance.now() + load.seconds * 1000
const latenciesUs: number[] = []
let turn = 0
let errors = 0

async function keepAsking(): Promise<void> {
  while (performance.now() < untilMs) {
    const target = load.targets[turn++ % load.targets.length] ?? '/'
    const startedMs = performance.now()
    const isGood = await ask(agent, `${load.url}${target}`)
    latenciesUs.push((performance.now() - startedMs) * 1000)
    if (!isGood) errors += 1
  }
}

await Promise.all(Array.from({ length: load.connections }, keepAsking))
agent.destroy()
latenciesUs.sort((a, b) => a - b)
const percentile = (share: number): number => Math.round(latenciesUs[Math.floor(latenciesUs.length * share)] ?? 0)
const result = { requests: latenciesUs.length, errors, p50Us: percentile(0.5), p99Us: percentile(0.99) }
process.stdout.write(`${JSON.stringify(result)}\n`)
