import { ProxyError } from '@ipfleet/core/proxy-error.ts'

/** Longest line, row or element in bytes. The longest address has 45; the rest is for what else is on a row. */
export const maxInputBytes = 64 * 1024

/** `what`: such as `Line 7`. */
export function tooLong(what: string): ProxyError {
  return new ProxyError('payload_too_large', { message: `${what} is over ${maxInputBytes} bytes` })
}
