import type { Accounts, Admission } from './accounts.ts'
import { type Answer, refusals } from './answer.ts'
import { answerBatch, type BatchOptions, batchRefusal, readList } from './batch.ts'
import type { BlockedAddresses } from './blocked-addresses.ts'
import { checksumsAnswer, downloadAnswer } from './downloads.ts'
import { apiHeads } from './plans.ts'
import type { FakeRequest } from './request.ts'
import { answerPath, type Asker, productOf } from './surface.ts'
import { answerTool, toolPaths } from './tools.ts'

/** What answers depend on besides the request. */
export interface FakeState {
  readonly accounts: Accounts
  readonly blocked: BlockedAddresses
  readonly nowMs: () => number
}

/** One request, answered: who asks, what it costs, and what IPinfo would say. Charges the token's quota. */
export function respond(request: FakeRequest, state: FakeState): Answer {
  const { method, segments, host, token } = request
  if (segments === undefined) return refusals.badEscape
  if (method === 'POST') return respondToPost(segments, request, state)
  if (method !== 'GET' && method !== 'HEAD') return refusals.wrongMethod
  const [head = ''] = segments
  if (head === 'me' && segments.length === 1 && host === 'ipinfo.io') return state.accounts.me(token)
  if (head === 'data' && host === 'ipinfo.io') return respondToDownload(segments.slice(1), request, state)
  return respondToGet(segments, request, state)
}

/** The items of a request to `/batch…`, for the log. */
export function batchItems(request: FakeRequest): readonly string[] | undefined {
  return request.method === 'POST' && request.segments?.[0] === 'batch' ? readList(request.body) : undefined
}

function respondToGet(segments: readonly string[], request: FakeRequest, { accounts, blocked }: FakeState): Answer {
  const admission = accounts.admit(request.token, { product: productOf(segments), items: 1 })
  if (admission.kind === 'refused') return admission.answer
  if (blocked.isIn(segments)) return refusals.unknownToken
  // Each host knows the paths of its own products.
  const [head = ''] = segments
  if (head !== 'resproxy' && apiHeads.has(head) !== (request.host === 'api.ipinfo.io')) return refusals.notFound
  const answer = answerPath(segments, request.query, askerOf(request, admission))
  const isPage = segments.length < 2 && segments[0] !== 'json' && segments[0] !== 'geo'
  return isPage && request.wantsHtml && answer.kind === 'json' ? website : answer
}

function respondToDownload(path: readonly string[], { token }: FakeRequest, { accounts, nowMs }: FakeState): Answer {
  if (path.length === 0) return refusals.notFound
  if (path.at(-1) === 'checksums') {
    return accounts.refusalOf(token, 'download') ?? checksumsAnswer(path.slice(0, -1).join('/'))
  }
  const admission = accounts.admitDaily(token, 'download')
  return admission.kind === 'refused' ? admission.answer : downloadAnswer(path.join('/'), nowMs())
}

function respondToPost(segments: readonly string[], request: FakeRequest, state: FakeState): Answer {
  const path = segments.join('/')
  const prefix = batchPrefix(path, request.host)
  if (prefix !== undefined) return respondToBatch(prefix, request, state)
  const tool = toolPaths.get(path)
  if (tool === undefined || request.host !== 'ipinfo.io') return refusals.notFound
  const admission = state.accounts.admitDaily(request.token, tool === 'map' ? 'map' : 'summarize')
  return admission.kind === 'refused' ? admission.answer : answerTool(path, request.query, request.body)
}

/** What bare addresses mean in that batch; undefined for what is no path of a batch. */
function batchPrefix(path: string, host: FakeRequest['host']): BatchOptions['prefix'] | undefined {
  if (path === 'batch') return host === 'api.ipinfo.io' ? 'lookup/' : ''
  if (path === 'batch/lite') return 'lite/'
  return path === 'batch/legacy' ? '' : undefined
}

function respondToBatch(prefix: BatchOptions['prefix'], request: FakeRequest, state: FakeState): Answer {
  const { accounts, blocked } = state
  const items = readList(request.body)
  const refusal = batchRefusal(items)
  // The token is looked at first: an unknown one learns nothing of what is wrong with the list.
  const product = prefix === 'lite/' ? 'lite' : 'batch'
  const admission = accounts.admit(request.token, { product, items: refusal === undefined ? (items?.length ?? 0) : 0 })
  if (admission.kind === 'refused') return admission.answer
  return (
    refusal ??
    answerBatch(items ?? [], {
      asker: askerOf(request, admission),
      prefix,
      dropsEmpty: request.query.get('filter') === '1',
      affordable: admission.items,
      refusalOf: (segments) =>
        blocked.isIn(segments) ? refusals.unknownToken : accounts.refusalOf(request.token, productOf(segments)),
    })
  )
}

function askerOf({ from, token }: FakeRequest, { plan }: Extract<Admission, { kind: 'granted' }>): Asker {
  return { address: from, plan, isKeyless: token === undefined }
}

const website: Answer = {
  kind: 'html',
  status: 200,
  value: '<!doctype html>\n<html><head><title>IP address details - IPinfo.io</title></head><body></body></html>\n',
}
