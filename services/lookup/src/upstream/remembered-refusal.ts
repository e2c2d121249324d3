import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

/** What upstream has said to every key lately, in IPinfo's words: it is not asked again for a while. */
export function rememberedRefusal(status: number): UpstreamAnswer {
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    body: Buffer.from(JSON.stringify(wordsOf(status), null, 2)),
  }
}

function wordsOf(status: number): object {
  if (status === 400) return { title: 'Wrong module or field type', message: 'No key of this service may ask this' }
  const title = status === 401 ? 'Unauthorized' : 'Forbidden'
  return { status, error: { title, message: 'No key of this service has access to this' } }
}
