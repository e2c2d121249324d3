import type { Accounts } from './accounts.ts'
import { type Answer, refusals } from './answer.ts'
import { answerBatch, batchRefusal, readList } from './batch.ts'
import type { FakeRequest } from './request.ts'
import { answerPath, type Asker, productOf } from './surface.ts'
import { answerTool, type Tool } from './tools.ts'

/** One request, answered: who asks, what it costs, and what IPinfo would say. Charges the token's quota. */
export function respond(request: FakeRequest, accounts: Accounts): Answer {
  const { method, segments, query, token } = request
  if (segments === undefined) return refusals.badEscape
  if (method === 'POST') return respondToPost(segments, request, accounts)
  if (method !== 'GET' && method !== 'HEAD') return refusals.wrongMethod
  if (segments[0] === 'me' && segments.length === 1) return accounts.me(token)
  const admission = accounts.admit(token, { product: productOf(segments), items: 1 })
  if (admission.kind === 'refused') return admission.answer
  const answer = answerPath(segments, query, askerOf(request, admission.plan))
  const isPage = segments.length < 2 && segments[0] !== 'json' && segments[0] !== 'geo'
  return isPage && request.wantsHtml && answer.kind === 'json' ? website : answer
}

/** The items of a request to `/batch…`, for the log. */
export function batchItems(request: FakeRequest): readonly string[] | undefined {
  return request.method === 'POST' && request.segments?.[0] === 'batch' ? readList(request.body) : undefined
}

function respondToPost(segments: readonly string[], request: FakeRequest, accounts: Accounts): Answer {
  const path = segments.join('/')
  if (path === 'batch' || path === 'batch/lite' || path === 'batch/legacy') {
    return respondToBatch(path === 'batch/lite', request, accounts)
  }
  const tool = toolPaths.get(path)
  if (tool === undefined) return refusals.notFound
  const admission = accounts.admit(request.token, { product: 'tools', items: 1 })
  return admission.kind === 'refused' ? admission.answer : answerTool(tool, request.body)
}

const toolPaths = new Map<string, Tool>([
  ['tools/summarize-ips', 'summarize-ips'],
  ['tools/map', 'map'],
  ['summarize', 'summarize'],
  ['map', 'map'],
])

function respondToBatch(isLite: boolean, request: FakeRequest, accounts: Accounts): Answer {
  const items = readList(request.body)
  const refusal = batchRefusal(items)
  // The token is looked at first: an unknown one learns nothing of what is wrong with the list.
  const bill = { product: isLite ? 'lite' : 'batch', items: refusal === undefined ? (items?.length ?? 0) : 0 }
  const admission = accounts.admit(request.token, bill)
  if (admission.kind === 'refused') return admission.answer
  return (
    refusal ??
    answerBatch(items ?? [], {
      asker: askerOf(request, admission.plan),
      prefix: isLite ? 'lite/' : '',
      dropsEmpty: request.query.get('filter') === '1',
      affordable: admission.items,
    })
  )
}

function askerOf({ from, token }: FakeRequest, plan: Asker['plan']): Asker {
  return { address: from, plan, isKeyless: token === undefined }
}

const website: Answer = {
  kind: 'html',
  status: 200,
  value: '<!doctype html>\n<html><head><title>IP address details - IPinfo.io</title></head><body></body></html>\n',
}
