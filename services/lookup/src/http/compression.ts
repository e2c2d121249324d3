import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Entry } from '@ipfleet/cache/entry.ts'

/** Content codings that are made here, the better one first. */
const codings = ['br', 'gzip'] as const
export type Coding = (typeof codings)[number]

/** Under this, compressing costs more than the bytes it saves. */
export const minCompressedBytes = 8192

/** Whether an answer may be sent coded; if so, its form depends on Accept-Encoding, and it says so (Vary). */
export function isCompressible({ bodyBytes, head }: Pick<Entry, 'bodyBytes' | 'head'>): boolean {
  return bodyBytes >= minCompressedBytes && /^(?:application\/json|text\/)/.test(head.contentType)
}

/**
 * The coding that a client likes best of those that are made here; undefined for none. RFC 9110 §12.5.3: weights from
 * 0 (never) to 1, `*` for what is not named. Without the field a client may take any, but those that send none are
 * scripts that often cannot.
 */
export function preferredCoding(acceptEncoding: string | undefined): Coding | undefined {
  if (!acceptEncoding) return undefined
  const weights = weightsIn(acceptEncoding)
  const weightOf = (name: string): number | undefined => weights.get(name) ?? weights.get('*')
  // No coding at all is what is left when nothing else is asked for more.
  let most = weights.get('identity') ?? 0
  let preferred: Coding | undefined
  for (const coding of codings) {
    const weight = weightOf(coding) ?? 0
    if (weight > 0 && (preferred === undefined ? weight >= most : weight > most)) {
      preferred = coding
      most = weight
    }
  }
  return preferred
}

function weightsIn(field: string): Map<string, number> {
  const weights = new Map<string, number>()
  for (const part of field.toLowerCase().split(',')) {
    const [, name, weight = '1'] = /^\s*([\w*-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?$/.exec(part) ?? []
    if (name !== undefined) weights.set(name === 'x-gzip' ? 'gzip' : name, Number(weight))
  }
  return weights
}

const gzipped = promisify(gzip)
const brotlied = promisify(brotliCompress)

/** About the speed of gzip, and a fifth smaller. The default, 11, takes a hundred times as long. */
const brotliQuality = 4

/** Off the event loop. */
export function compressed(body: Buffer, coding: Coding): Promise<Buffer> {
  if (coding === 'gzip') return gzipped(body)
  return brotlied(body, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: brotliQuality,
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
      [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
    },
  })
}
