import type { BatchFailure, BatchReply } from './batch-client.ts'
import type { BatchValue } from './batch-values.ts'
import type { Attempt, RetryPolicy } from './retry-policy.ts'

export interface LookUpOptions {
  /** Asks for a batch, in its turn. */
  readonly ask: (addresses: readonly string[]) => Promise<BatchReply>
  /** Addresses of the next batch. */
  readonly batchSize: () => number
  /** How often an address is asked for before upstream's error is its result. */
  readonly maxTries: number
  readonly retryPolicy: RetryPolicy
  /** Called with what each batch has cost upstream. */
  readonly onUnits?: (units: number) => void
  /** `items`: upstream has failed at some addresses. */
  readonly onRetry?: (reason: BatchFailure | 'items', detail?: string) => void
  readonly signal: AbortSignal
}

export interface LookUpResult {
  readonly values: ReadonlyMap<string, BatchValue>
  /** Addresses for which upstream was not asked. */
  readonly cached: number
}

const failures: Readonly<Record<BatchFailure, string>> = {
  busy: 'has no time',
  unreachable: 'does not answer',
  timeout: 'takes too long',
  failed: 'has failed',
  invalid: 'answers nonsense',
  refused: 'refuses the batch',
}

export function failureInWords({ reason, detail }: Extract<BatchReply, { kind: 'failed' }>): string {
  return `the fleet ${failures[reason]}${detail === undefined ? '' : ` (${detail})`}`
}

const lacking: BatchValue = {
  kind: 'passing',
  error: { code: 'no_answer', title: 'No answer', message: 'The fleet’s answer lacks this address' },
}

/**
 * Looks addresses up, one batch after another. A batch that is not answered, and addresses at which upstream has failed,
 * are asked for again.
 * @throws what `ask` and the policy throw
 */
export async function lookUpAll(addresses: readonly string[], options: LookUpOptions): Promise<LookUpResult> {
  const { ask, batchSize, maxTries, retryPolicy, onUnits, onRetry, signal } = options
  const values = new Map<string, BatchValue>()
  let cached = 0
  let left = addresses
  let failed: string[] = []
  let round = 1
  const attempt = async (): Promise<Attempt<undefined>> => {
    let isFirst = false
    while (left.length > 0) {
      const batch = left.slice(0, batchSize())
      const reply = await ask(batch)
      if (reply.kind === 'failed') {
        onRetry?.(reply.reason, reply.detail)
        return { kind: 'again', why: failureInWords(reply), retryAfterMs: reply.retryAfterMs, isFirst }
      }
      isFirst = true
      left = left.slice(batch.length)
      for (const address of batch) values.set(address, reply.values.get(address) ?? lacking)
      failed.push(...batch.filter((address) => values.get(address)?.kind === 'passing'))
      cached += reply.cached
      onUnits?.(reply.units)
    }
    if (failed.length === 0 || round === maxTries) return { kind: 'done', value: undefined }
    round += 1
    left = failed
    failed = []
    onRetry?.('items')
    return { kind: 'again', why: `${left.length} addresses were not answered` }
  }
  await retryPolicy.retry(attempt, signal)
  return { values, cached: Math.min(cached, addresses.length) }
}
