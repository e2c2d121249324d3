/**
 * For Retry-After, which has whole seconds (RFC 9110 §10.2.3): rounded up, since a client that comes too early is
 * refused again, and at least 1.
 */
export function wholeSeconds(durationMs: number): number {
  return Math.max(1, Math.ceil(durationMs / 1000))
}
