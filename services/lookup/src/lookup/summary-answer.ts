import { setImmediate } from 'node:timers/promises'
import { Entry } from '@ipfleet/cache/entry.ts'
import { failureOf } from '@ipfleet/cache/finding.ts'
import type { Failure, Origin } from '@ipfleet/cache/outcome.ts'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { isRecord } from '@ipfleet/core/json.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressesIn } from '@ipfleet/ip-lists/address-text.ts'
import { IpSummary, type ListSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { type AnswerEnd, type Answered, BatchError, originOf } from './answered.ts'
import type { BatchRequest } from './batch-answer.ts'
import type { Lookup } from './lookup.ts'

/** Looked up together, so that others have their turn in between. */
const addressesAtOnce = 1000
const pieceLength = 32 * 1024

interface SummaryTerms {
  readonly hasLeft: () => boolean
  /** Called once with the most units that the list may cost. Rejects when it may not go on. */
  readonly reserve: (maxUnits: number) => Promise<void>
}

/** Records summed up, and what that took. */
export interface SummedList {
  readonly summary: ListSummary
  readonly items: Readonly<Partial<Record<AnswerEnd, number>>>
  readonly units: number
  readonly origin?: Origin
}

/**
 * What the records of a list's addresses say, counted: IPinfo's answer to `POST /summarize?cli=1`, made of the fleet's own
 * records. Addresses without one count in `total` and `unique` alone.
 * @param list text with addresses in it: lines, JSON, anything
 * @throws ProxyError `no_ips_found`; BatchError when nothing was answered and something failed, or the client has left
 */
export async function summarize(
  lookup: Lookup,
  list: string,
  request: Omit<BatchRequest, 'items'> & SummaryTerms,
): Promise<SummedList> {
  const times = await timesByAddress(list)
  if (times.size === 0) throw new ProxyError('no_ips_found')
  await request.reserve(times.size)
  const summary = new IpSummary()
  const items: Partial<Record<AnswerEnd, number>> = {}
  let units = 0
  let origin: Origin | undefined
  let failure: Failure | undefined
  let isAnswered = false
  /** With what has been found, and has cost, until then. */
  const endedBy = (reason: Failure): BatchError =>
    new BatchError({ ...reason, ...originOf({ origin }) }, { items, units })
  const addresses = [...times.keys()]
  for (let at = 0; at < addresses.length; at += addressesAtOnce) {
    // A long list costs units that no client would get anything for.
    if (request.hasLeft()) throw endedBy({ kind: 'failure', code: 'client_left' })
    const part = addresses.slice(at, at + addressesAtOnce)
    const answered = await lookup.answerMany({ ...request, items: part }).catch(batchError)
    for (const [end, count] of Object.entries(answered.items ?? {})) {
      items[end as AnswerEnd] = (items[end as AnswerEnd] ?? 0) + count
    }
    units += answered.units ?? 0
    origin ??= answered.origin
    if (answered instanceof BatchError) failure ??= failureOf(answered)
    else isAnswered = true
    const records = answered instanceof BatchError ? {} : recordsIn(answered.entry)
    for (const address of part) summary.add(address, records[address], times.get(address))
  }
  if (failure !== undefined && !isAnswered) throw endedBy(failure)
  return { summary: summary.toJSON(), items, units, ...originOf({ origin }) }
}

/** An answer of this fleet's own, with what it took. */
export function summedAnswer(
  { items, units, origin }: SummedList,
  value: object,
  clock: Clock = monotonicClock,
): Answered {
  const body = Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
  const answer = { status: 200, contentType: 'application/json; charset=utf-8', body }
  return { source: 'local', entry: new Entry(answer, clock.nowMs(), 0), items, units, ...originOf({ origin }) }
}

function batchError(error: unknown): BatchError {
  if (error instanceof BatchError) return error
  throw error
}

/** Those that were answered, by address. */
function recordsIn({ answer }: Entry): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const values = JSON.parse(answer.body.toString()) as Readonly<Record<string, unknown>>
  const records = Object.entries(values).filter(([, value]) => isRecord(value) && value['error'] === undefined)
  return Object.fromEntries(records) as Record<string, Record<string, unknown>>
}

/** How often a text has each address. Others have their turn after each piece of it. */
async function timesByAddress(text: string): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  for (let start = 0; start < text.length;) {
    const cut = text.slice(start, start + pieceLength)
    // No address is cut in two: none has such a character in it, and none is longer than a piece.
    const isLast = start + pieceLength >= text.length
    const end = isLast
      ? cut.length
      : Math.max(...[' ', '\n', ',', '"', ';', '\t'].map((one) => cut.lastIndexOf(one))) + 1
    const piece = cut.slice(0, end > 0 ? end : cut.length)
    for (const address of addressesIn(piece)) times.set(address, (times.get(address) ?? 0) + 1)
    start += piece.length
    await setImmediate()
  }
  return times
}
