import { addressIn } from '@ipfleet/ip-lists/chunker.ts'
import type { BatchValue } from './batch-values.ts'
import type { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { answerLine, errorLine, type LineError } from '@ipfleet/ip-lists/result-line.ts'

export interface ChunkResult {
  /** NDJSON, a line for each input, each with its line end. */
  readonly body: Buffer
  readonly lines: number
  readonly answered: number
  readonly cached: number
  /** Error lines by code. */
  readonly errors: Readonly<Record<string, number>>
}

/** As lookup says it of one address. */
const wrongIp: LineError = { code: 'wrong_ip', title: 'Wrong ip', message: 'Please provide a valid IP address' }
const notLookedUp: LineError = {
  code: 'not_looked_up',
  title: 'Not looked up',
  message: 'The address could not be looked up, however often it was tried',
}

/**
 * A line for each input, in their order.
 * @param cachedAddresses of the distinct addresses, those that upstream was not asked for
 * @param summary to which the addresses are added, with all of their records
 */
export function chunkResult(
  { inputs, fields }: { readonly inputs: readonly string[]; readonly fields?: readonly string[] | undefined },
  values: ReadonlyMap<string, BatchValue>,
  cachedAddresses: number,
  summary?: IpSummary,
): ChunkResult {
  const lines: string[] = []
  const errors: Record<string, number> = {}
  const seen = new Set<string>()
  let answered = 0
  const refuse = (input: string, error: LineError): void => {
    errors[error.code] = (errors[error.code] ?? 0) + 1
    lines.push(errorLine(input, error))
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
    lines.push(answerLine(input, value.record, fields))
  }
  // Whatever stands there twice was not asked for twice.
  const cached = Math.min(answered, cachedAddresses + answered - seen.size)
  return { body: Buffer.from(lines.join('')), lines: inputs.length, answered, cached, errors }
}
