import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'

/** The address that an input is, in its one spelling; undefined for what is none. Blanks around it do not matter. */
export function addressIn(input: string): string | undefined {
  return canonicalAddress(input.trim())
}
