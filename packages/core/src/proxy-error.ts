/**
 * Every failure that a client may see, in one table: the code, its HTTP status, the public title and
 * message (in the shape that IPinfo uses), and the level at which it is logged.
 *
 * Expected outcomes are not errors: they are returned as unions. What is thrown is a `ProxyError`.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** `plain` is the form of IPinfo's newer products: `{"error":"…"}`. */
type ErrorKind = readonly [status: number, level: LogLevel, title: string, message: string, form?: 'plain']

/** nginx's status for a client that left before an answer: for logs and metrics, since no client sees it. */
export const CLIENT_CLOSED_REQUEST = 499

const again = 'try again after the time in Retry-After'

const kinds = {
  bad_request: [400, 'debug', 'Bad request', 'The request could not be understood'],
  unauthorized: [401, 'warn', 'Unauthorized', 'This operation needs a valid token'],
  token_missing: [401, 'debug', 'Missing token', 'This service answers those who bring a token of its own'],
  unknown_token: [403, 'info', 'Unknown token', "Please ensure you've entered your token correctly"],
  proxy_auth_required: [
    407,
    'debug',
    'Proxy authentication required',
    'This proxy serves those who bring a user name and password of its own',
  ],
  rate_limited: [429, 'debug', 'Rate limit exceeded', `You've hit the limit of your token; ${again}`],
  client_share: [429, 'info', 'Too much at a time', `You hold as much of this server as one client may; ${again}`],
  forbidden: [403, 'warn', 'Forbidden', 'This operation is not allowed from here'],
  client_denied: [403, 'info', 'Forbidden', 'Clients at your address are not served'],
  not_found: [404, 'debug', 'Not found', 'There is nothing at this path'],
  wrong_ip: [404, 'debug', 'Wrong ip', 'Please provide a valid IP address'],
  wrong_product_ip: [400, 'debug', 'Wrong ip', 'Please provide a valid IP address', 'plain'],
  method_not_allowed: [405, 'debug', 'Method not allowed', 'This path does not answer that method'],
  conflict: [409, 'debug', 'Conflict', `A request under the same Idempotency-Key is under way; ${again}`],
  key_reused: [
    422,
    'debug',
    'Idempotency-Key used before',
    'This Idempotency-Key stands for another request; take a new one',
  ],
  no_ips_found: [422, 'debug', 'No IPs Found', 'The body holds no IP address'],
  range_not_satisfiable: [416, 'debug', 'Range not satisfiable', 'There is nothing in that range'],
  store_full: [
    503,
    'warn',
    'Store full',
    `Results of earlier jobs take all the room there is; remove some, or ${again}`,
  ],
  store_away: [503, 'warn', 'Store away', `The store of the jobs does not answer; ${again}`],
  client_left: [CLIENT_CLOSED_REQUEST, 'debug', 'Client left', 'The client left before an answer'],
  request_timeout: [408, 'debug', 'Request timeout', 'The request did not arrive in time'],
  payload_too_large: [413, 'info', 'Payload too large', 'The body is over the limit'],
  uri_too_long: [414, 'debug', 'URI too long', 'The request target is over the limit'],
  headers_too_large: [431, 'debug', 'Header too large', 'The request header is over the limit'],
  unsupported_media_type: [415, 'debug', 'Unsupported media type', 'A body of this type or coding is not read here'],
  expectation_failed: [417, 'debug', 'Expectation failed', 'This server knows no expectation but 100-continue'],
  not_offered: [
    501,
    'debug',
    'Not offered by the provider',
    'The provider that this fleet asks has no answers of this kind',
  ],
  internal: [500, 'error', 'Internal error', 'Something went wrong here'],
  backend_unreachable: [502, 'warn', 'Backend unreachable', 'The server behind this proxy could not be reached'],
  backend_invalid: [
    502,
    'warn',
    'Backend answer invalid',
    'The server behind this proxy sent an answer that makes no sense, or not all of it',
  ],
  backend_timeout: [504, 'warn', 'Backend timeout', 'The server behind this proxy did not answer in time'],
  no_backend: [503, 'warn', 'No backend available', `No server behind this proxy can answer now; ${again}`],
  loop_detected: [508, 'warn', 'Loop detected', 'The request has come through this proxy before'],
  target_refused: [403, 'info', 'Target refused', 'This proxy does not connect to that target'],
  target_unreachable: [502, 'info', 'Target unreachable', 'No connection to the target could be made'],
  target_invalid: [
    502,
    'info',
    'Target answer invalid',
    'The target sent an answer that makes no sense, or not all of it',
  ],
  session_lost: [
    502,
    'info',
    'Session address lost',
    'The source address of this session is out, and the session wants no other',
  ],
  source_lost: [
    502,
    'warn',
    'Source address lost',
    'The address that the connection left from is gone, and the answer had not come yet',
  ],
  no_source: [503, 'warn', 'No source address available', `Every source address is out; ${again}`],
  target_timeout: [504, 'info', 'Target timeout', 'The target did not answer in time'],
  upstream_unreachable: [502, 'warn', 'Upstream unreachable', 'The upstream API could not be reached'],
  upstream_invalid: [502, 'warn', 'Upstream answer invalid', 'The upstream API sent an answer that makes no sense'],
  upstream_failed: [502, 'warn', 'Upstream failed', 'The upstream API answered with a server error'],
  keys_exhausted: [503, 'warn', 'All keys are cooling down', `Every API key is benched; ${again}`],
  tool_limited: [429, 'info', 'Rate limit exceeded', `The daily uses of this are used up with every API key; ${again}`],
  upstream_paused: [503, 'warn', 'Upstream paused', `The upstream API is failing and is given a pause; ${again}`],
  overloaded: [503, 'warn', 'Overloaded', `Too much is in flight; ${again}`],
  purge_incomplete: [
    503,
    'warn',
    'Purged here only',
    'Redis is away, so that other replicas and the shared cache keep their answers; try again',
  ],
  no_offline_answer: [
    503,
    'info',
    'Not available without an API key',
    'The embedded database answers addresses only; IPINFO_KEYS=key1,key2 lets upstream be asked',
  ],
  not_cached: [
    504,
    'debug',
    'Not in the cache',
    'The request says only-if-cached, and there is no answer that is acceptable to it',
  ],
  upstream_timeout: [504, 'warn', 'Upstream timeout', 'The upstream API did not answer in time'],
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
    const [status, level, title, message] = kinds[code]
    super(details.message ?? message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = details.status ?? status
    this.title = title
    this.level = level
    this.detail = details.detail
    this.retryAfterSeconds = details.retryAfterSeconds
  }

  /** The answer's body, in IPinfo's shape: `{"status":404,"error":{"title":…,"message":…}}`. */
  body(): string {
    const { message, status, title } = this
    const [, , , , form]: ErrorKind = kinds[this.code]
    return JSON.stringify(form === 'plain' ? { error: message } : { status, error: { title, message } }, null, 2)
  }

  /** Anything thrown, as a ProxyError: itself, or `internal` with the original as its cause. */
  static from(thrown: unknown): ProxyError {
    return thrown instanceof ProxyError ? thrown : new ProxyError('internal', { cause: thrown })
  }
}
