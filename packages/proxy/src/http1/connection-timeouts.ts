export interface ExchangeTimeouts {
  /** From the end of the request to the head of the answer. */
  readonly answerTimeoutMs: number
  /** Between two parts of the answer's body. */
  readonly idleTimeoutMs: number
}

export interface ConnectionTimeouts extends ExchangeTimeouts {
  readonly connectTimeoutMs: number
  /** How long an idle connection is kept. Must be shorter than the server keeps it. */
  readonly keepAliveMs: number
}
