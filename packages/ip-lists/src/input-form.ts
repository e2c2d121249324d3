import { ProxyError } from '@ipfleet/core/proxy-error.ts'

export type InputForm =
  | {
      readonly kind: 'lines'
      /** By `?format=lines`. Else a body that begins as JSON does is JSON. */
      readonly isAsked?: true
    }
  | {
      readonly kind: 'csv'
      /** By name, or by number from 1; undefined: `ip`, or else the only or first column that holds an address. */
      readonly column: string | number | undefined
      /** What the media type says of a header row (RFC 4180 §3); undefined: the first row shows it. */
      readonly header: 'present' | 'absent' | undefined
    }
  | {
      readonly kind: 'ndjson' | 'json'
      /** The member of an object that holds its address. */
      readonly column: string
    }

export type InputKind = InputForm['kind']

export interface InputRequest {
  readonly contentType?: string | undefined
  readonly format?: string | undefined
  readonly column?: string | undefined
}

const kinds: readonly InputKind[] = ['lines', 'csv', 'ndjson', 'json']

/**
 * A type that does not name the form means plain lines: also the one that curl sends by default, and application/gzip,
 * since a compressed body is recognised by its first bytes.
 */
const mediaTypes: readonly (readonly [InputKind, RegExp])[] = [
  ['lines', /^(?:text\/plain|application\/(?:octet-stream|x-www-form-urlencoded|(?:x-)?gzip|zstd))$/],
  ['csv', /^(?:(?:text|application)\/(?:x-)?csv|text\/tab-separated-values)$/],
  ['ndjson', /^(?:application|text)\/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines)$/],
  ['json', /^(?:(?:application|text)\/json|application\/[\w.-]+\+json)$/],
]

/**
 * Which form a body has, by `?format=` or else by its Content-Type, and in which column its addresses are.
 * @throws ProxyError `unsupported_media_type`, `bad_request`
 */
export function inputFormOf({ contentType, format, ...asked }: InputRequest): InputForm {
  const [type = '', ...parameters] = (contentType ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
  const kind = askedKind(format) ?? kindOfType(type)
  const column = askedColumn(kind, asked.column)
  if (kind === 'lines') return format === undefined ? { kind } : { kind, isAsked: true }
  if (kind === 'csv') return { kind, column: columnOrNumber(column), header: headerIn(parameters) }
  return { kind, column: column ?? 'ip' }
}

function askedKind(format: string | undefined): InputKind | undefined {
  if (format === undefined) return undefined
  const kind = kinds.find((known) => known === format.toLowerCase())
  if (kind !== undefined) return kind
  throw new ProxyError('bad_request', { message: 'format is one of lines, csv, ndjson and json' })
}

function kindOfType(type: string): InputKind {
  if (type === '') return 'lines'
  const kind = mediaTypes.find(([, pattern]) => pattern.test(type))?.[0]
  if (kind !== undefined) return kind
  if (type.startsWith('multipart/')) {
    throw new ProxyError('unsupported_media_type', {
      message: 'A form is not read; the body is the file itself: curl --data-binary @FILE',
    })
  }
  throw new ProxyError('unsupported_media_type', {
    message:
      'Addresses are read from text/plain, text/csv, application/x-ndjson and application/json; ' +
      'where the Content-Type has to be another one, ?format=lines, csv, ndjson or json says what the body is',
  })
}

/** Each line is searched for all parts of its path. */
const maxColumnLength = 1000

function askedColumn(kind: InputKind, column: string | undefined): string | undefined {
  if (column !== undefined && column.length > maxColumnLength) {
    throw new ProxyError('bad_request', { message: `column is a name of at most ${maxColumnLength} characters` })
  }
  if (column === undefined || kind !== 'lines') return column
  throw new ProxyError('bad_request', {
    message: 'Plain lines have no columns: send text/csv, or say ?format=csv, to choose one with ?column=',
  })
}

function columnOrNumber(column: string | undefined): string | number | undefined {
  if (column === undefined || !/^\d{1,9}$/.test(column)) return column
  if (Number(column) > 0) return Number(column)
  throw new ProxyError('bad_request', { message: 'Columns are numbered from 1' })
}

function headerIn(parameters: readonly string[]): 'present' | 'absent' | undefined {
  const value = parameters.map((parameter) => /^header\s*=\s*"?(present|absent)"?$/.exec(parameter)?.[1]).find(Boolean)
  return value === 'present' || value === 'absent' ? value : undefined
}
