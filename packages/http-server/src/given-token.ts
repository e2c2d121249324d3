import type { RequestHead } from './fast-lane/request-head.ts'

/**
 * The token that a request brings, where IPinfo's SDKs put theirs: `Authorization: Bearer T`, Basic with the token as
 * the user name, or `?token=T`. The field goes before the parameter (Ruby's SDK sends both); an empty one, as Rust's
 * SDK sends it, is none.
 */
export function givenToken(req: Pick<RequestHead, 'url' | 'headers'>): string | undefined {
  const field = req.headers.authorization
  const fromField = field === undefined ? undefined : inAuthorization(field)
  return fromField ?? inQuery(req.url ?? '')
}

function inAuthorization(field: string): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+) *$/i.exec(field) ?? []
  if (scheme.toLowerCase() !== 'basic') return value || undefined
  const credentials = Buffer.from(value, 'base64').toString()
  const colon = credentials.indexOf(':')
  return (colon < 0 ? credentials : credentials.slice(0, colon)) || undefined
}

function inQuery(target: string): string | undefined {
  if (!target.includes('token=')) return undefined
  const mark = target.indexOf('?')
  return (mark < 0 ? null : new URLSearchParams(target.slice(mark + 1)).get('token')) || undefined
}
