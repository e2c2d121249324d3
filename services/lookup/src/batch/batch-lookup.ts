import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import type { BatchFinder, LoadMany } from '@ipfleet/cache/batch-finder.ts'
import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import type { Failure, Origin, Outcome } from '@ipfleet/cache/outcome.ts'
import type { Finding, LoadPurpose } from '@ipfleet/cache/tiered-cache.ts'
import type { Settle } from '@ipfleet/flight/batch-flight.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import { offlineAnswer, reservedAnswer } from '../answers.ts'
import { batchAnswer, type ItemResult } from './batch-answer.ts'
import { type BatchForm, readItem } from './batch-item.ts'
import type { BatchLoader } from './batch-loader.ts'
import type { Answered } from '../lookup.ts'
import type { Question } from '../question.ts'
import { viewOf } from '../record-view.ts'

export interface BatchRequest extends BatchForm {
  /** As the client wrote them. */
  readonly items: readonly string[]
  /** Past the caches and past coalescing, neither reading nor writing. */
  readonly bypass: boolean
  /** Of the client, for items that are about the caller. */
  readonly ownAddress: () => string
}

export interface BatchLookupParts {
  readonly finder: BatchFinder
  /** Undefined without keys: the embedded database answers everything. */
  readonly loader: BatchLoader | undefined
  readonly offline: OfflineDb
  readonly requestTimeoutMs: number
  /** `open`: the embedded database answers when nobody else does. */
  readonly failureMode: 'closed' | 'open'
  readonly clock?: Clock
}

/** The results of questions by their target. */
type Results = ReadonlyMap<string, ItemResult>

/** Many questions → one answer. No HTTP and no Redis in it. */
export class BatchLookup {
  readonly #parts: Required<BatchLookupParts>

  constructor(parts: BatchLookupParts) {
    this.#parts = { clock: monotonicClock, ...parts }
  }

  /**
   * The object with the answer to each item, in their order; an item that appears twice is asked and answered once.
   * What is wrong with one item is told in its place.
   * @throws LookupError when upstream is needed and not one of the items could be answered
   */
  async answer({ items, prefix, dropsEmpty, bypass, ownAddress }: BatchRequest): Promise<Answered> {
    const read = [...new Set(items)].map((item) => ({ item, ...readItem(item, prefix, ownAddress) }))
    const questions = read.flatMap((one) => (one.kind === 'question' ? [one.question] : []))
    const search = new Search(this.#parts)
    const results = await search.answer(questions, bypass)
    const nowMs = this.#parts.clock.nowMs()
    const byItem = read.map((one): [string, ItemResult] => {
      if (one.kind === 'error') return [one.item, { kind: 'refused', error: one.error }]
      const { target } = one.question
      return [one.item, results.get(target) ?? { kind: 'failed', failure: { kind: 'failure', code: 'internal' } }]
    })
    const { origin, units } = search
    return { ...batchAnswer(byItem, dropsEmpty, nowMs), ...(origin && { origin }), units }
  }
}

/** One batch's way through reserved addresses, caches, upstream, stale copies and the embedded database. */
class Search {
  readonly #parts: Required<BatchLookupParts>
  readonly #deadlineMs: number
  /** Questions put to upstream by this batch. */
  units = 0
  /** Of the first load that tells. */
  origin: Origin | undefined

  constructor(parts: Required<BatchLookupParts>) {
    this.#parts = parts
    this.#deadlineMs = parts.clock.nowMs() + parts.requestTimeoutMs
  }

  async answer(questions: readonly Question[], bypass: boolean): Promise<Results> {
    const results = new Map<string, ItemResult>()
    const toFind = new Map<string, Question>()
    for (const question of questions) {
      const reserved = reservedAnswer(question)
      if (reserved) results.set(question.target, this.#made(reserved, 'local'))
      else toFind.set(question.target, question)
    }
    const { loader } = this.#parts
    const found = await this.#find([...toFind.values()], loader, bypass)
    for (const [target, question] of toFind) {
      const result = found.get(target) ?? { kind: 'failed', failure: noUpstream }
      const mayBeOffline = loader === undefined || this.#parts.failureMode === 'open'
      results.set(target, result.kind === 'failed' && mayBeOffline ? this.#offlineOr(question, result) : result)
    }
    return results
  }

  async #find(questions: readonly Question[], loader: BatchLoader | undefined, bypass: boolean): Promise<Results> {
    if (loader === undefined || questions.length === 0) return new Map()
    if (bypass) return this.#past(questions, loader)
    const records = await this.#findWhole(questions.map(recordOf), loader)
    const results = new Map<string, ItemResult>()
    const untold: Question[] = []
    for (const question of questions) {
      const record = records.get(recordOf(question).target)
      const part = record && partOf(question, record)
      if (part) results.set(question.target, part)
      else untold.push(question)
    }
    if (untold.length === 0) return results
    return new Map([...results, ...(await this.#findWhole(untold, loader))])
  }

  /** Each as a cached answer of its own. */
  async #findWhole(questions: readonly Question[], loader: BatchLoader): Promise<Results> {
    const byTarget = new Map(questions.map((question) => [question.target, question]))
    const load: LoadMany = (targets, settle, purpose) => {
      const asked = targets.flatMap((target) => byTarget.get(target) ?? [])
      return this.#load(asked, loader, settle, purpose)
    }
    const findings = await this.#parts.finder.find([...byTarget.keys()], load, this.#deadlineMs)
    return new Map([...findings].map(([target, finding]) => [target, resultOf(finding)]))
  }

  async #past(questions: readonly Question[], loader: BatchLoader): Promise<Results> {
    const results = new Map<string, ItemResult>()
    await this.#load(questions, loader, async (outcomes) => {
      for (const [target, outcome] of outcomes) {
        results.set(target, outcome.kind === 'failure' ? failed(outcome) : this.#made(outcome.answer, 'bypass'))
      }
    })
    return results
  }

  #load(
    questions: readonly Question[],
    loader: BatchLoader,
    settle: Settle<Outcome>,
    purpose: LoadPurpose = 'answer',
  ): Promise<void> {
    this.units += questions.length
    const settleWithOrigin: Settle<Outcome> = (outcomes) => {
      for (const { origin } of outcomes.values()) this.origin ??= origin
      return settle(outcomes)
    }
    return loader.load(questions, this.#deadlineMs, settleWithOrigin, purpose)
  }

  #offlineOr(question: Question, otherwise: ItemResult): ItemResult {
    const answer = offlineAnswer(this.#parts.offline, question)
    return answer ? this.#made(answer, 'offline') : otherwise
  }

  #made(answer: Answer, source: 'local' | 'bypass' | 'offline'): ItemResult {
    return { kind: 'answered', source, entry: new Entry(answer, this.#parts.clock.nowMs(), 0) }
  }
}

const noUpstream: Failure = { kind: 'failure', code: 'no_offline_answer' }

const failed = (failure: Failure): ItemResult => ({ kind: 'failed', failure })

const recordOf = (question: Question): Question => question.within?.record ?? question

function resultOf(finding: Finding): ItemResult {
  if (finding.kind === 'found') return { kind: 'answered', source: finding.source, entry: finding.entry }
  if (finding.stale) return { kind: 'answered', source: 'stale', entry: finding.stale }
  return failed(finding.failure)
}

/** What a question's record says to it; undefined when the record cannot tell. */
function partOf({ within }: Question, record: ItemResult): ItemResult | undefined {
  if (!within || record.kind !== 'answered') return record
  const { entry, source } = record
  const part = viewOf(entry.answer, within.view)
  return part && { kind: 'answered', source, entry: new Entry(part, entry.storedAtMs, entry.freshForMs) }
}
