import { Agent as PlainAgent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from './ask.ts'

export interface PacedReport {
  readonly requests: number
  readonly errors: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/**
 * Asks at a steady pace, whether or not answers come, so that whoever is slow is not spared: what waits is counted from
 * the moment when it should have been sent.
 */
export async function pacedLoad(
  {
    url,
    targets,
    perSecond,
    localAddress,
  }: {
    readonly url: string
    readonly targets: readonly string[]
    readonly perSecond: number
    readonly localAddress?: string
  },
  signal: AbortSignal,
): Promise<PacedReport> {
  const options = { keepAlive: true, maxSockets: 64, ...(localAddress !== undefined && { localAddress }) }
  const agent = url.startsWith('https:')
    ? new TlsAgent({ ...options, rejectUnauthorized: false })
    : new PlainAgent(options)
  const durationsMs: number[] = []
  const underWay = new Set<Promise<void>>()
  let errors = 0
  const startedMs = performance.now()
  for (let turn = 0; !signal.aborted; turn += 1) {
    const dueMs = startedMs + (turn * 1000) / perSecond
    const earlyMs = dueMs - performance.now()
    if (earlyMs > 1) await sleep(earlyMs, undefined, { signal }).catch(() => undefined)
    const asked = ask(agent, `${url}${targets[turn % targets.length]}`).then((isGood) => {
      durationsMs.push(performance.now() - dueMs)
      if (!isGood) errors += 1
      underWay.delete(asked)
    })
    underWay.add(asked)
  }
  await Promise.all(underWay)
  agent.destroy()
  durationsMs.sort((a, b) => a - b)
  const percentile = (share: number): number => durationsMs[Math.floor(durationsMs.length * share)] ?? Number.NaN
  return { requests: durationsMs.length, errors, p50Ms: percentile(0.5), p99Ms: percentile(0.99) }
}
