import { textual } from './config-kinds.ts'

export type KeyExtractor =
  | { readonly kind: 'client_ip' }
  | { readonly kind: 'token' }
  /** Lower case. */
  | { readonly kind: 'header'; readonly name: string }

/** A field name (RFC 9110, section 5.1). */
const headerForm = /^header:([!#$%&'*+.^_`|~\w-]+)$/

/** Who counts as one client. */
export const keyExtractor = textual('"client_ip", "token" or "header:<name>"', keyExtractorIn)

function keyExtractorIn(text: string): KeyExtractor | undefined {
  if (text === 'client_ip' || text === 'token') return { kind: text }
  const name = headerForm.exec(text)?.[1]
  return name === undefined ? undefined : { kind: 'header', name: name.toLowerCase() }
}
