import { isIP } from 'node:net'
import { canonicalAddress as canonical } from '@ipfleet/net/canonical-address.ts'

/** As the shared one, but an address with a zone (`fe80::1%eth0`) stays as it is: here it is dialled, on this machine. */
export function canonicalAddress(text: string): string | undefined {
  return text.includes('%') && isIP(text) > 0 ? text : canonical(text)
}
