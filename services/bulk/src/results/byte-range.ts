/** What a client wants of an answer's bytes: from one on, perhaps up to another (inclusive), or the last few. */
export type ByteRange =
  | { readonly kind: 'from'; readonly first: number; readonly last?: number }
  | { readonly kind: 'suffix'; readonly length: number }

/** Undefined for several ranges, other units and what is malformed: RFC 9110 §14.2 lets a server ignore the field. */
export function byteRangeIn(field: string | undefined): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})$/i.exec(field ?? '') ?? []
  if (first === '') return last === '' ? undefined : { kind: 'suffix', length: Number(last) }
  if (last === '') return { kind: 'from', first: Number(first) }
  return Number(last) < Number(first) ? undefined : { kind: 'from', first: Number(first), last: Number(last) }
}

/** Bytes of an answer; `last` is one of them. */
export interface Span {
  readonly first: number
  readonly last: number
}

/** What there is of a range in so many bytes; undefined for nothing. */
export function spanOf(range: ByteRange, bytes: number): Span | undefined {
  const span =
    range.kind === 'suffix'
      ? { first: Math.max(0, bytes - range.length), last: bytes - 1 }
      : { first: range.first, last: Math.min(range.last ?? Infinity, bytes - 1) }
  return span.first <= span.last ? span : undefined
}
