import { addressIn } from '../input/chunker.ts'
import type { ChunkResult } from '../jobs/job.ts'
import type { BatchValue } from '../lookups/batch-values.ts'
import { answerLine, errorLine, type LineError } from '../results/result-line.ts'

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
 */
export function chunkResult(
  { inputs, fields }: { readonly inputs: readonly string[]; readonly fields?: readonly string[] | undefined },
  values: ReadonlyMap<string, BatchValue>,
  cachedAddresses: number,
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
