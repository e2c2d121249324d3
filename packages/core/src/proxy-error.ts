/**
 * Every failure that a client may see, in one table: the code, its HTTP status, the public title and
 * message (in the shape that IPinfo uses), and the level at which it is logged.
 *
 * Expected outcomes are not errors: they are returned as unions. What is thrown is a `ProxyError`.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

interface ErrorKind {
  readonly status: number
  readonly title: string
  readonly message: string
  readonly level: LogLevel
  /** How the body says it; `plain` is the form of IPinfo's newer products: `{"error":"…"}`. */
  readonly form?: 'titled' | 'plain'
}

/** nginx's status for a client that left before an answer: for logs and metrics, since no client sees it. */
export const CLIENT_CLOSED_REQUEST = 499

const kinds = {
  bad_request: { status: 400, title: 'Bad request', message: 'The request could not be understood', level: 'debug' },
  unauthorized: { status: 401, title: 'Unauthorized', message: 'This operation needs a valid token', level: 'warn' },
  token_missing: {
    status: 401,
    title: 'Missing token',
    message: 'This service answers those who bring a token of its own',
    level: 'debug',
  },
  unknown_token: {
    status: 403,
    title: 'Unknown token',
    message: "Please ensure you've entered your token correctly",
    level: 'info',
  },
  proxy_auth_required: {
    status: 407,
    title: 'Proxy authentication required',
    message: 'This proxy serves those who bring a user name and password of its own',
    level: 'debug',
  },
  rate_limited: {
    status: 429,
    title: 'Rate limit exceeded',
    message: "You've hit the limit of your token; try again after the time in Retry-After",
    level: 'debug',
  },
  client_share: {
    status: 429,
    title: 'Too much at a time',
    message: 'You hold as much of this server as one client may; try again after the time in Retry-After',
    level: 'info',
  },
  forbidden: { status: 403, title: 'Forbidden', message: 'This operation is not allowed from here', level: 'warn' },
  client_denied: { status: 403, title: 'Forbidden', message: 'Clients at your address are not served', level: 'info' },
  not_found: { status: 404, title: 'Not found', message: 'There is nothing at this path', level: 'debug' },
  wrong_ip: { status: 404, title: 'Wrong ip', message: 'Please provide a valid IP address', level: 'debug' },
  wrong_product_ip: {
    status: 400,
    title: 'Wrong ip',
    message: 'Please provide a valid IP address',
    level: 'debug',
    form: 'plain',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    message: 'This path does not answer that method',
    level: 'debug',
  },
  conflict: {
    status: 409,
    title: 'Conflict',
    message: 'A request under the same Idempotency-Key is under way; try again after the time in Retry-After',
    level: 'debug',
  },
  key_reused: {
    status: 422,
    title: 'Idempotency-Key used before',
    message: 'This Idempotency-Key stands for another request; take a new one',
    level: 'debug',
  },
  no_ips_found: { status: 422, title: 'No IPs Found', message: 'The body holds no IP address', level: 'debug' },
  range_not_satisfiable: {
    status: 416,
    title: 'Range not satisfiable',
    message: 'There is nothing in that range',
    level: 'debug',
  },
  store_full: {
    status: 503,
    title: 'Store full',
    message:
      'Results of earlier jobs take all the room there is; remove some, or try again after the time in Retry-After',
    level: 'warn',
  },
  store_away: {
    status: 503,
    title: 'Store away',
    message: 'The store of the jobs does not answer; try again after the time in Retry-After',
    level: 'warn',
  },
  client_left: {
    status: CLIENT_CLOSED_REQUEST,
    title: 'Client left',
    message: 'The client left before an answer',
    level: 'debug',
  },
  request_timeout: {
    status: 408,
    title: 'Request timeout',
    message: 'The request did not arrive in time',
    level: 'debug',
  },
  payload_too_large: { status: 413, title: 'Payload too large', message: 'The body is over the limit', level: 'info' },
  uri_too_long: { status: 414, title: 'URI too long', message: 'The request target is over the limit', level: 'debug' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    message: 'A body of this type or coding is not read here',
    level: 'debug',
  },
  expectation_failed: {
    status: 417,
    title: 'Expectation failed',
    message: 'This server knows no expectation but 100-continue',
    level: 'debug',
  },
  not_offered: {
    status: 501,
    title: 'Not offered by the provider',
    message: 'The provider that this fleet asks has no answers of this kind',
    level: 'debug',
  },
  internal: { status: 500, title: 'Internal error', message: 'Something went wrong here', level: 'error' },
  backend_unreachable: {
    status: 502,
    title: 'Backend unreachable',
    message: 'The server behind this proxy could not be reached',
    level: 'warn',
  },
  backend_invalid: {
    status: 502,
    title: 'Backend answer invalid',
    message: 'The server behind this proxy sent an answer that makes no sense, or not all of it',
    level: 'warn',
  },
  backend_timeout: {
    status: 504,
    title: 'Backend timeout',
    message: 'The server behind this proxy did not answer in time',
    level: 'warn',
  },
  no_backend: {
    status: 503,
    title: 'No backend available',
    message: 'No server behind this proxy can answer now; try again after the time in Retry-After',
    level: 'warn',
  },
  loop_detected: {
    status: 508,
    title: 'Loop detected',
    message: 'The request has come through this proxy before',
    level: 'warn',
  },
  target_refused: {
    status: 403,
    title: 'Target refused',
    message: 'This proxy does not connect to that target',
    level: 'info',
  },
  target_unreachable: {
    status: 502,
    title: 'Target unreachable',
    message: 'No connection to the target could be made',
    level: 'info',
  },
  target_invalid: {
    status: 502,
    title: 'Target answer invalid',
    message: 'The target sent an answer that makes no sense, or not all of it',
    level: 'info',
  },
  session_lost: {
    status: 502,
    title: 'Session address lost',
    message: 'The source address of this session is out, and the session wants no other',
    level: 'info',
  },
  source_lost: {
    status: 502,
    title: 'Source address lost',
    message: 'The address that the connection left from is gone, and the answer had not come yet',
    level: 'warn',
  },
  no_source: {
    status: 503,
    title: 'No source address available',
    message: 'Every source address is out; try again after the time in Retry-After',
    level: 'warn',
  },
  target_timeout: { status: 504, title: 'Target timeout', message: 'The target did not answer in time', level: 'info' },
  upstream_unreachable: {
    status: 502,
    title: 'Upstream unreachable',
    message: 'The upstream API could not be reached',
    level: 'warn',
  },
  upstream_invalid: {
    status: 502,
    title: 'Upstream answer invalid',
    message: 'The upstream API sent an answer that makes no sense',
    level: 'warn',
  },
  upstream_failed: {
    status: 502,
    title: 'Upstream failed',
    message: 'The upstream API answered with a server error',
    level: 'warn',
  },
  keys_exhausted: {
    status: 503,
    title: 'All keys are cooling down',
    message: 'Every API key is benched; try again after the time in Retry-After',
    level: 'warn',
  },
  tool_limited: {
    status: 429,
    title: 'Rate limit exceeded',
    message: 'The daily uses of this are used up with every API key; try again after the time in Retry-After',
    level: 'info',
  },
  upstream_paused: {
    status: 503,
    title: 'Upstream paused',
    message: 'The upstream API is failing and is given a pause; try again after the time in Retry-After',
    level: 'warn',
  },
  overloaded: {
    status: 503,
    title: 'Overloaded',
    message: 'Too much is in flight; try again after the time in Retry-After',
    level: 'warn',
  },
  purge_incomplete: {
    status: 503,
    title: 'Purged here only',
    message: 'Redis is away, so that other replicas and the shared cache keep their answers; try again',
    level: 'warn',
  },
  no_offline_answer: {
    status: 503,
    title: 'Not available without an API key',
    message: 'The embedded database answers addresses only; IPINFO_KEYS=key1,key2 lets upstream be asked',
    level: 'info',
  },
  not_cached: {
    status: 504,
    title: 'Not in the cache',
    message: 'The request says only-if-cached, and there is no answer that is acceptable to it',
    level: 'debug',
  },
  upstream_timeout: {
    status: 504,
    title: 'Upstream timeout',
    message: 'The upstream API did not answer in time',
    level: 'warn',
  },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof kinds

/** Whether this release knows the code; another one's may come over Redis. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(kinds, code)
}

export interface ProxyErrorDetails {
  /** What went wrong, for the log only. Never sent to a client. */
  readonly detail?: string
  /** Whole seconds for the Retry-After field. */
  readonly retryAfterSeconds?: number
  /** In the place of the table's, where a setting says so. */
  readonly status?: number
  /** A public message that says more than the table's own. */
  readonly message?: string
  readonly cause?: unknown
}

/** A failure with a literal code. `status`, `title` and `message` are safe to show; `detail` and `cause` are not. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ErrorCode
  readonly status: number
  readonly title: string
  readonly level: LogLevel
  readonly detail: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, details: ProxyErrorDetails = {}) {
    const kind = kinds[code]
    super(details.message ?? kind.message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = details.status ?? kind.status
    this.title = kind.title
    this.level = kind.level
    this.detail = details.detail
    this.retryAfterSeconds = details.retryAfterSeconds
  }

  /** The answer's body, in IPinfo's shape: `{"status":404,"error":{"title":…,"message":…}}`. */
  body(): string {
    const { form = 'titled' }: ErrorKind = kinds[this.code]
    const error = form === 'plain' ? this.message : { title: this.title, message: this.message }
    return JSON.stringify(form === 'plain' ? { error } : { status: this.status, error }, null, 2)
  }

  /** Anything thrown, as a ProxyError: itself, or `internal` with the original as its cause. */
  static from(thrown: unknown): ProxyError {
    return thrown instanceof ProxyError ? thrown : new ProxyError('internal', { cause: thrown })
  }
}
