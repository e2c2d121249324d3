import type { Settle } from '@ipfleet/flight/batch-flight.ts'
import type { Failure, Outcome } from '@ipfleet/cache/outcome.ts'
import type { LoadPurpose } from '@ipfleet/cache/tiered-cache.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { embeddedStatus, singleAnswer } from './batch-body.ts'
import { jsonMembers } from './json-members.ts'
import type { Question } from '../question.ts'
import type { LoadOptions } from '../upstream-loader.ts'

export interface BatchUpstream {
  load(request: UpstreamRequest, deadlineMs: number, options?: LoadOptions): Promise<Outcome>
}

export interface BatchLoaderParts {
  readonly upstream: BatchUpstream
  /** How long the answer to a path may be cached. */
  readonly freshForMs: (path: string, answer: UpstreamAnswer) => number
  /** Whether upstream takes batches at all. Default true; if not, each question is asked by itself. */
  readonly takesBatches?: boolean
}

/** What IPinfo takes in one batch. */
const maxItems = 1000
/** Requests to upstream at a time, of one load. */
const chunksAtATime = 4
const singlesAtATime = 16

/** A batch path of upstream, and what is cut off the target of a question to be its item there. */
interface Route {
  readonly surface: UpstreamRequest['surface']
  readonly path: string
  readonly cut: string
}

const routes = {
  legacy: { surface: 'legacy', path: '/batch', cut: '/' },
  api: { surface: 'api', path: '/batch', cut: '/' },
  // Lite has a batch of its own, which costs no quota.
  lite: { surface: 'api', path: '/batch/lite', cut: '/lite/' },
} as const satisfies Record<string, Route>

/** A thousand items are tried in at most six sizes. */
const shrinkBy = 4

interface Chunk {
  readonly route: Route
  readonly questions: readonly Question[]
}

interface Terms {
  readonly deadlineMs: number
  readonly purpose: LoadPurpose
}

/**
 * Asks upstream many questions in as few requests as it takes, and gives each the outcome that it would have had if
 * it had been asked alone.
 */
export class BatchLoader {
  readonly #upstream: BatchUpstream
  readonly #freshForMs: BatchLoaderParts['freshForMs']
  readonly #takesBatches: boolean

  constructor({ upstream, freshForMs, takesBatches = true }: BatchLoaderParts) {
    this.#upstream = upstream
    this.#freshForMs = freshForMs
    this.#takesBatches = takesBatches
  }

  /**
   * Settles every question, by its target, as answers come in. What goes wrong is an outcome too.
   * @param deadlineMs monotonic, over all requests
   */
  async load(
    questions: readonly Question[],
    deadlineMs: number,
    settle: Settle<Outcome>,
    purpose: LoadPurpose = 'answer',
  ): Promise<void> {
    const terms = { deadlineMs, purpose }
    if (!this.#takesBatches) return this.#askSingly(questions, terms, settle)
    const groups = Map.groupBy(questions, routeOf)
    const chunks = [...groups].flatMap(([route, group]) =>
      Array.from({ length: Math.ceil(group.length / maxItems) }, (_, at) => ({
        route,
        questions: group.slice(at * maxItems, (at + 1) * maxItems),
      })),
    )
    await eachOf(chunks, chunksAtATime, (chunk) => this.#askChunk(chunk, terms, settle))
  }

  /**
   * Goes on with the next key where one ran dry, and in smaller parts where no key has enough left for all; ends at the
   * latest when no key has anything left, or time is up.
   */
  async #askChunk({ route, questions }: Chunk, { deadlineMs, purpose }: Terms, settle: Settle<Outcome>) {
    let size = questions.length
    for (let left = questions; left.length > 0;) {
      const part = left.slice(0, size)
      const options = { units: route === routes.lite ? 0 : part.length, ranDry, purpose }
      const outcome = await this.#upstream.load(requestOf(route, part), deadlineMs, options)
      if (part.length > 1 && isExhausted(outcome)) {
        size = Math.ceil(part.length / shrinkBy)
        continue
      }
      const values = valuesIn(outcome)
      if (!(values instanceof Map)) return settle(new Map(left.map(({ target }) => [target, values])))
      const outcomes = new Map<string, Outcome>()
      const unpaid: Question[] = []
      for (const question of part) {
        const raw = values.get(itemOf(question, route))
        if (raw !== undefined && embeddedStatus(raw) === 429) unpaid.push(question)
        else outcomes.set(question.target, this.#outcomeOf(question, raw, outcome))
      }
      if (outcomes.size > 0) await settle(outcomes)
      left = [...unpaid, ...left.slice(part.length)]
    }
  }

  #outcomeOf({ target, expected }: Question, raw: string | undefined, { origin }: Outcome): Outcome {
    const from = origin ? { origin } : {}
    if (raw === undefined) return { kind: 'failure', code: 'upstream_invalid', detail: 'not in the batch', ...from }
    const answer = singleAnswer(raw)
    const { status, contentType } = answer
    if (status >= 500) return { kind: 'failure', code: 'upstream_failed', detail: `item status ${status}`, ...from }
    // A record that is missing is told by an empty string; alone, the question would have had another answer.
    const isCertain = expected !== 'json' || contentType.includes('json')
    return { kind: 'answer', answer, freshForMs: isCertain ? this.#freshForMs(target, answer) : 0, ...from }
  }

  async #askSingly(questions: readonly Question[], { deadlineMs, purpose }: Terms, settle: Settle<Outcome>) {
    await eachOf(questions, singlesAtATime, async ({ surface, target, expected }) => {
      const request: UpstreamRequest = { method: 'GET', surface, path: target, expected }
      await settle(new Map([[target, await this.#upstream.load(request, deadlineMs, { purpose })]]))
    })
  }
}

function routeOf({ surface, target }: Question): Route {
  if (surface === 'legacy') return routes.legacy
  return target.startsWith(routes.lite.cut) ? routes.lite : routes.api
}

const itemOf = ({ target }: Question, { cut }: Route): string => target.slice(cut.length)

function requestOf(route: Route, questions: readonly Question[]): UpstreamRequest {
  const items = questions.map((question) => itemOf(question, route))
  const body = { bytes: Buffer.from(JSON.stringify(items)), contentType: 'application/json' }
  return { method: 'POST', surface: route.surface, path: route.path, body, expected: 'json' }
}

const isExhausted = (outcome: Outcome): boolean => outcome.kind === 'failure' && outcome.code === 'keys_exhausted'

/** The values by item, or why there are none. */
function valuesIn(outcome: Outcome): Map<string, string> | Failure {
  if (outcome.kind === 'failure') return outcome
  const { status, body } = outcome.answer
  const values = status === 200 ? jsonMembers(body.toString('utf8')) : undefined
  const origin = outcome.origin ? { origin: outcome.origin } : {}
  // Refused as a whole, though each item makes sense by itself.
  return values ?? { kind: 'failure', code: 'upstream_invalid', detail: `batch answered with ${status}`, ...origin }
}

/** Items beyond a key's quota are answered by embedded 429s. */
function ranDry({ status, body }: UpstreamAnswer): boolean {
  if (status !== 200 || !body.includes('429')) return false
  const values = jsonMembers(body.toString('utf8'))?.values() ?? []
  return [...values].some((raw) => embeddedStatus(raw) === 429)
}

/** Runs `work` on each, so many at a time. */
async function eachOf<T>(all: readonly T[], atATime: number, work: (one: T) => Promise<unknown>): Promise<void> {
  const left = all.values()
  const worker = async (): Promise<void> => {
    for (const one of left) await work(one)
  }
  await Promise.all(Array.from({ length: Math.min(atATime, all.length) }, worker))
}
