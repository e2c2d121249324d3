/** A span's place in a trace, as it travels between processes (W3C Trace Context, level 2). */
export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string
  /** The flags that level 2 knows: bit 0 sampled, bit 1 random. */
  readonly flags: number
}

/** W3C Trace Context §3.2: lower case only, no id of zeros alone, and not version ff. */
const form = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:$|-)/
const length00 = 55
const knownFlags = 0b11

/**
 * Reads the value of a `traceparent` field. Of a later version, what version 00 has is read (§3.2.4).
 * @returns undefined for what is no traceparent, also for two of them in one request; it is ignored then
 */
export function parseTraceparent(given: string | readonly string[] | undefined): TraceContext | undefined {
  if (typeof given !== 'string') return undefined
  const [, version, traceId, spanId, flags] = form.exec(given) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === '00' && given.length !== length00) return undefined
  return { traceId, spanId, flags: Number.parseInt(flags, 16) & knownFlags }
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
}

export function isSampled({ flags }: TraceContext): boolean {
  return (flags & 1) === 1
}
