import type { BatchClient, BatchReply } from '@ipfleet/fleet-client/batch-client.ts'
import type { BatchValue } from '@ipfleet/fleet-client/batch-values.ts'
import { batchLimits, chunksOf } from '@ipfleet/ip-lists/chunker.ts'
import { chunkResult } from '@ipfleet/fleet-client/chunk-result.ts'
import { failure } from './command-fault.ts'
import type { InputReader } from './input-reader.ts'
import { mapInOrder } from './map-in-order.ts'
import type { ResultOutput } from './output.ts'
import type { Attempt, RetryPolicy } from '@ipfleet/fleet-client/retry-policy.ts'
import type { Tally } from './tally.ts'

export interface BatchRunDeps {
  readonly client: Pick<BatchClient, 'ask'>
  readonly reader: InputReader
  /** Bytes of all lists, if they are known. */
  readonly bytes: number | undefined
  readonly fields: readonly string[] | undefined
  readonly output: ResultOutput
  readonly tally: Tally
  readonly retryPolicy: RetryPolicy
  readonly signal: AbortSignal
}

type Values = ReadonlyMap<string, BatchValue>

interface Answered {
  readonly values: Values
  readonly cached: number
}

const batchesAtATime = 4
/** How often an address is asked for before upstream's error is its result. */
const triesOfAnAddress = 5

/**
 * Asks a fleet's `POST /batch` for everything in the list, and writes results in its order.
 * @throws CommandFault when the fleet refuses, or does not answer for minutes; the signal's reason
 */
export async function runBatches(deps: BatchRunDeps): Promise<void> {
  const { reader, bytes, fields, output, tally, signal } = deps
  let lines = tally.done
  const batches = chunksOf(reader.inputs(tally.done, true), batchLimits)
  const results = mapInOrder(batches, batchesAtATime, async (batch, ended) => {
    lines += batch.inputs.length
    const expected = bytes === undefined ? undefined : reader.expectedLines(bytes)
    if (expected !== undefined) tally.expect(expected, true)
    const { values, cached } = await answersTo([...batch.addresses], deps, AbortSignal.any([signal, ended]))
    return chunkResult({ inputs: batch.inputs, fields }, values, cached)
  })
  for await (const result of results) {
    signal.throwIfAborted()
    await output.add(result.body)
    tally.add(result)
    tally.wrote(result.lines)
  }
  tally.expect(lines)
}

async function answersTo(addresses: readonly string[], deps: BatchRunDeps, signal: AbortSignal): Promise<Answered> {
  const values = new Map<string, BatchValue>()
  let cached = 0
  let left = addresses
  let tries = 0
  if (left.length === 0) return { values, cached }
  await deps.retryPolicy.retry(async (): Promise<Attempt<undefined>> => {
    const reply = await deps.client.ask(left, signal)
    if (reply.kind === 'failed') return again(reply)
    for (const address of left) values.set(address, reply.values.get(address) ?? lacking)
    cached += reply.cached
    left = left.filter((address) => values.get(address)?.kind === 'passing')
    tries += 1
    if (left.length === 0 || tries === triesOfAnAddress) return { kind: 'done', value: undefined }
    return { kind: 'again', why: `${left.length} addresses were not answered` }
  }, signal)
  return { values, cached: Math.min(cached, addresses.length) }
}

/** @throws CommandFault for what will not pass */
function again({ reason, detail, retryAfterMs }: Extract<BatchReply, { kind: 'failed' }>): Attempt<never> {
  const why = `the fleet ${failures[reason]}${detail === undefined ? '' : ` (${detail})`}`
  if (reason === 'refused') throw failure(why)
  return { kind: 'again', why, retryAfterMs }
}

const failures = {
  busy: 'has no time',
  unreachable: 'does not answer',
  timeout: 'takes too long',
  failed: 'has failed',
  invalid: 'answers nonsense',
  refused: 'refuses the batch',
} as const

const lacking: BatchValue = {
  kind: 'passing',
  error: { code: 'no_answer', title: 'No answer', message: 'The fleet’s answer lacks this address' },
}
