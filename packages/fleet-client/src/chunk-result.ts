import { addressIn } from '@ipfleet/ip-lists/chunker.ts'
import type { BatchValue } from './batch-values.ts'
import type { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { answerRow, errorRow, type LineError, linesOf, type ResultRow } from '@ipfleet/ip-lists/result-line.ts'

interface ChunkCounts {
  readonly lines: number
  readonly answered: number
  readonly cached: number
  /** Error lines by code. */
  readonly errors: Readonly<Record<string, number>>
}

export interface ChunkRows extends ChunkCounts {
  /** One for each input. */
  readonly rows: readonly ResultRow[]
}

export interface ChunkResult extends ChunkCounts {
  /** NDJSON, a line for each input, each with its line end. */
  readonly body: Buffer
}

/** As lookup says it of one address. */
const wrongIp: LineError = { code: 'wrong_ip', title: 'Wrong ip', message: 'Please provide a valid IP address' }
const notLookedUp: LineError = {
  code: 'not_looked_up',
  title: 'Not looked up',
  message: 'The address could not be looked up, however often it was tried',
}

/** `chunkRows`, written as lines. */
export function chunkResult(...given: Parameters<typeof chunkRows>): ChunkResult {
  const { rows, ...counts } = chunkRows(...given)
  return { ...counts, body: Buffer.from(linesOf(rows)) }
}

/**
 * A row for each input, in their order.
 * @param cachedAddresses of the distinct addresses, those that upstream was not asked for
 * @param summary to which the addresses are added, with all of their records
 */
export function chunkRows(
  { inputs, fields }: { readonly inputs: readonly string[]; readonly fields?: readonly string[] | undefined },
  values: ReadonlyMap<string, BatchValue>,
  cachedAddresses: number,
  summary?: IpSummary,
): ChunkRows {
  const rows: ResultRow[] = []
  const errors: Record<string, number> = {}
  const seen = new Set<string>()
  let answered = 0
  const refuse = (input: string, error: LineError): void => {
    errors[error.code] = (errors[error.code] ?? 0) + 1
    rows.push(errorRow(input, error))
  }
  for (const input of inputs) {
    const address = addressIn(input)
    if (address === undefined) {
      refuse(input, wrongIp)
      continue
    }
    const value = values.get(address)
    summary?.add(address, value?.kind === 'record' ? value.record : undefined)
    if (value?.kind !== 'record') {
      refuse(input, value?.error ?? notLookedUp)
      continue
    }
    seen.add(address)
    answered += 1
    rows.push(answerRow(input, value.record, fields))
  }
  // Whatever stands there twice was not asked for twice.
  const cached = Math.min(answered, cachedAddresses + answered - seen.size)
  return { rows, lines: inputs.length, answered, cached, errors }
}
