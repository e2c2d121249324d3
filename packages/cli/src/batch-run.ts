import type { BatchClient, BatchReply } from '@ipfleet/fleet-client/batch-client.ts'
import { batchLimits, chunksOf } from '@ipfleet/ip-lists/chunker.ts'
import { chunkRows } from '@ipfleet/fleet-client/chunk-result.ts'
import { failureInWords, lookUpAll, type LookUpResult } from '@ipfleet/fleet-client/look-up-all.ts'
import type { RetryPolicy } from '@ipfleet/fleet-client/retry-policy.ts'
import { failure } from './command-fault.ts'
import type { InputReader } from './input-reader.ts'
import { mapInOrder } from './map-in-order.ts'
import type { ResultOutput } from './output.ts'
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

const batchesAtATime = 4
/** How often an address is asked for before upstream's error is its result. */
const maxTries = 5

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
    return chunkRows({ inputs: batch.inputs, fields }, values, cached)
  })
  for await (const result of results) {
    signal.throwIfAborted()
    await output.add(result.rows)
    tally.add(result)
    tally.wrote(result.lines)
  }
  tally.expect(lines)
}

function answersTo(addresses: readonly string[], deps: BatchRunDeps, signal: AbortSignal): Promise<LookUpResult> {
  const ask = async (batch: readonly string[]): Promise<BatchReply> => {
    const reply = await deps.client.ask(batch, signal)
    if (reply.kind === 'failed' && reply.reason === 'refused') throw failure(failureInWords(reply))
    return reply
  }
  const { retryPolicy } = deps
  return lookUpAll(addresses, { ask, batchSize: () => addresses.length, maxTries, retryPolicy, signal })
}
