/** What becomes of Max-Forwards on this hop. */
export type MaxForwards =
  | { readonly kind: 'pass on'; readonly value: string | undefined }
  /** This is the last one that the request may reach. */
  | { readonly kind: 'answer here' }

/** RFC 9110 §7.6.2: it counts for OPTIONS and TRACE only, and what is no number counts for nothing. */
export function nextMaxForwards(method: string, given: string | undefined): MaxForwards {
  const counts = (method === 'OPTIONS' || method === 'TRACE') && given !== undefined && /^\d{1,9}$/.test(given)
  if (!counts) return { kind: 'pass on', value: given }
  return Number(given) === 0 ? { kind: 'answer here' } : { kind: 'pass on', value: String(Number(given) - 1) }
}
