import type { IncomingMessage } from 'node:http'
import { trustedPeer } from '@ipfleet/net/client-address.ts'

/** A name or an address as a Host field has it (RFC 9110 §7.2), with or without a port. */
const host = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])(?::\d{1,5})?$/i

/**
 * Makes the function that tells by which origin a client reached the fleet: its Host and scheme, or what a trusted
 * proxy says that they were (X-Forwarded-Host, X-Forwarded-Proto). '' where that is not known, so that what is behind
 * it is a path.
 * @throws RangeError if a block is malformed
 */
export function requestOrigin({ trusted }: { readonly trusted: readonly string[] }): (req: IncomingMessage) => string {
  const isTrusted = trustedPeer({ trusted })
  return (req) => {
    const { headers } = req
    const isVouched = isTrusted(req)
    const name = (isVouched ? lastOf(headers['x-forwarded-host']) : undefined) ?? headers.host ?? ''
    const scheme = isVouched && lastOf(headers['x-forwarded-proto'])?.toLowerCase() === 'https' ? 'https' : 'http'
    return host.test(name) ? `${scheme}://${name}` : ''
  }
}

/** What the nearest proxy says, if several have said something. */
function lastOf(field: string | string[] | undefined): string | undefined {
  return field === undefined ? undefined : String(field).split(',').at(-1)?.trim()
}
