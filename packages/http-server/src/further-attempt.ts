import { trustedPeer } from '@ipfleet/net/client-address.ts'
import type { RequestHead } from './fast-lane/request-head.ts'

/** Sent by the edge with a request that another server may have seen already: 2 for the second attempt. */
export const ATTEMPT = 'X-Ipfleet-Attempt'

const field = ATTEMPT.toLowerCase()

/**
 * Makes the function that tells whether a request has been counted by another replica, because a trusted proxy asks once
 * more where that one did not answer. The field of any other peer is ignored, since its requests would not be limited.
 * @throws RangeError for a malformed block
 */
export function furtherAttempt({ trusted }: { readonly trusted: readonly string[] }): (req: RequestHead) => boolean {
  const isTrusted = trustedPeer({ trusted })
  return (req) => req.headers[field] !== undefined && isTrusted(req)
}
