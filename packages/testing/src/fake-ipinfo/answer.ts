/** What the fake says to one question, before it becomes bytes; a batch embeds its `value`. */
export type Answer =
  | {
      readonly kind: 'json'
      readonly status: number
      readonly value: unknown
      /** For Retry-After; with a quota's 429 IPinfo sends none. */
      readonly retryAfterSeconds?: number
    }
  | { readonly kind: 'text'; readonly status: 200; readonly value: string }
  | { readonly kind: 'html'; readonly status: number; readonly value: string }
  | { readonly kind: 'redirect'; readonly status: 302; readonly value: ''; readonly location: string }

export function json(value: unknown): Answer {
  return { kind: 'json', status: 200, value }
}

/** A field's answer: the value and a newline; for a field that is not known, the newline alone. */
export function field(value: unknown): Answer {
  if (typeof value === 'object' && value !== null) return json(value)
  return { kind: 'text', status: 200, value: typeof value === 'string' ? value : (JSON.stringify(value) ?? '') }
}

export function redirect(location: string): Answer {
  return { kind: 'redirect', status: 302, value: '', location }
}

type JsonAnswer = Extract<Answer, { kind: 'json' }>

function failure(status: number, value: unknown): JsonAnswer {
  return { kind: 'json', status, value }
}

function titled(status: number, title: string, message: string): JsonAnswer {
  return failure(status, { status, error: { title, message } })
}

/** Every error body of the API, as far as it is known. */
export const refusals = {
  rateLimited: titled(
    429,
    'Rate limit exceeded',
    "You've hit the daily limit for your plan. Upgrade to increase your usage limits at https://ipinfo.io/pricing, " +
      'or contact us via https://ipinfo.io/support',
  ),
  keylessRateLimited: titled(
    429,
    'Rate limit exceeded',
    "You've hit the daily limit for the unauthenticated API.  Create an API access token by signing up to get 50k " +
      'req/month.',
  ),
  unknownToken: titled(
    403,
    'Unknown token',
    "Please ensure you've entered your token correctly. Refer to https://ipinfo.io/developers for details, or " +
      'contact support@ipinfo.io.',
  ),
  wrongIp: titled(404, 'Wrong ip', 'Please provide a valid IP address'),
  wrongField: failure(400, {
    title: 'Wrong module or field type',
    message:
      'No module or field of type exists for the provided field. Please check our documentation ' +
      'https://ipinfo.io/developers.',
  }),
  invalidToken: failure(400, {
    error: 'Invalid API token',
    message: 'The passed IPinfo access token is not present or is invalid.',
  }),
  lacksPermission: failure(401, {}),
  forbidden: titled(403, 'Forbidden', 'You do not have permission to access this resource'),
  noAccess: failure(403, { title: 'Forbidden', message: 'Your token does not have access to this API' }),
  paymentRequired: titled(402, 'Payment required', 'The quota of your plan is used up'),
  toolUsedUp: titled(429, 'Rate limit exceeded', "You've hit the daily limit of 5 uses for this tool"),
  downloadsUsedUp: titled(429, 'Rate limit exceeded', "You've hit the daily limit of 3 downloads for this database"),
  asnNotFound: failure(404, { error: 'ASN Not Found!' }),
  productWrongIp: failure(400, { error: 'Please provide a valid IP address' }),
  productWrongField: failure(400, { error: 'Wrong module or field type' }),
  notFound: titled(404, 'Page not found', 'There is nothing at this path'),
  wrongMethod: titled(405, 'Method not allowed', 'This path does not answer that method'),
  badEscape: titled(400, 'Bad request', 'The path could not be decoded'),
  badBatch: titled(400, 'Bad batch', 'Please provide a JSON array or a newline-separated list'),
  batchTooLong: titled(400, 'Batch too large', 'Please provide at most 1000 items'),
  bodyTooLarge: titled(413, 'Payload too large', 'The body is over the limit'),
  pageTooLong: titled(400, 'Wrong limit', 'The limit may be at most 1000'),
  noIpsFound: failure(422, { title: 'No IPs Found', message: 'There were no valid IPs in the text' }),
} as const

/** The ways in which a product that a key may not ask has been seen to be refused; none says for certain why. */
export const refusalOfProduct = {
  unauthorized: refusals.lacksPermission,
  permission: refusals.forbidden,
  'no-access': refusals.noAccess,
  'unknown-token': refusals.unknownToken,
  'wrong-module': refusals.wrongField,
  payment: refusals.paymentRequired,
} as const satisfies Record<string, Answer>

export type RefusalForm = keyof typeof refusalOfProduct

/** The bytes of an answer: JSON is indented by two spaces, text ends in a newline. */
export function bodyOf(answer: Answer): string {
  if (answer.kind === 'json') return JSON.stringify(answer.value, null, 2)
  return answer.kind === 'text' ? `${answer.value}\n` : answer.value
}

export const contentTypes = {
  json: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
  html: 'text/html; charset=utf-8',
  redirect: 'text/plain; charset=utf-8',
} as const satisfies Record<Answer['kind'], string>

/** Status apart, what goes over the wire; headers may be added. */
export interface WireForm {
  readonly headers: Record<string, string | number>
  readonly body: Buffer
}

/** An answer with IPinfo's headers; JSON is wrapped for a `callback` that is an identifier (JSONP). */
export function wireForm(answer: Answer, callback: string | null): WireForm {
  const text = bodyOf(answer)
  const isJsonp = answer.kind === 'json' && callback !== null && /^[\w$.]+$/.test(callback)
  const body = Buffer.from(isJsonp ? `/**/ typeof ${callback} === 'function' && ${callback}(${text});` : text)
  const retryAfterSeconds = answer.kind === 'json' ? answer.retryAfterSeconds : undefined
  const contentType = isJsonp ? 'text/javascript; charset=utf-8' : contentTypes[answer.kind]
  return {
    headers: {
      'content-type': contentType,
      'content-length': body.length,
      'access-control-allow-origin': '*',
      ...(answer.kind === 'redirect' && { location: answer.location }),
      ...(retryAfterSeconds !== undefined && { 'retry-after': retryAfterSeconds }),
    },
    body,
  }
}
