import { isUtf8 } from 'node:buffer'

/** Many values as two arguments of a Lua command, which cuts them apart again with `string.sub`. */
export interface PackedValues {
  /** The size of each in bytes, as a JSON array. */
  readonly sizes: string
  /** One after the other. */
  readonly bytes: string | Buffer
}

/**
 * ioredis 6.0.0 measures and writes every argument of a command by itself as soon as one of them is a Buffer, so that
 * values of their own cost several times what the server does with them. As text, if they are, they are written at
 * once together with the keys.
 */
export function packedValues(values: readonly Buffer[]): PackedValues {
  const [first] = values
  return {
    sizes: JSON.stringify(values.map(({ length }) => length)),
    bytes: textIfUtf8(first && values.length === 1 ? first : Buffer.concat(values)),
  }
}

/** A value as the text that it is, for the same reason, if it is one. */
export function textIfUtf8(bytes: Buffer): string | Buffer {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes
}
