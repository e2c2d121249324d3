/** The values of ASN.1 that a certificate is made of, in DER (ITU-T X.690, sections 8 and 10). */

export function sequence(...values: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(values))
}

export function set(...values: readonly Buffer[]): Buffer {
  return tagged(0x31, Buffer.concat(values))
}

/** @param value big endian; its first bit is the sign */
export function integer(value: Buffer): Buffer {
  return tagged(0x02, value)
}

/** A BIT STRING of whole bytes. */
export function bits(value: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), value]))
}

export function octets(value: Buffer): Buffer {
  return tagged(0x04, value)
}

export function text(value: string): Buffer {
  return tagged(0x0c, Buffer.from(value))
}

export function utcTime(timeMs: number): Buffer {
  const digits = new Date(timeMs).toISOString().replace(/\D/g, '')
  return tagged(0x17, Buffer.from(`${digits.slice(2, 14)}Z`))
}

/** @param dotted `1.2.840.10045.4.3.2` */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...others.flatMap((arc) => base128(arc))]))
}

/** With a tag of the context. `value` is another value, or with `primitive` what a tag in its place would stand for. */
export function context(tag: number, value: Buffer, kind: 'constructed' | 'primitive' = 'constructed'): Buffer {
  return tagged((kind === 'constructed' ? 0xa0 : 0x80) + tag, value)
}

function tagged(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content)]), content])
}

function lengthOf({ length }: Buffer): number[] {
  if (length < 0x80) return [length]
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80)
  return bytes
}
