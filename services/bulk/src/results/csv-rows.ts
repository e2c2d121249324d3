import { stringify } from 'csv-stringify/sync'

/** What IPinfo's records hold, on the plans that have it; what is not there is empty. */
const recordColumns = [
  'ip',
  'hostname',
  'bogon',
  'anycast',
  'city',
  'region',
  'country',
  'loc',
  'org',
  'postal',
  'timezone',
] as const

export function csvColumns(fields: readonly string[] | undefined): readonly string[] {
  return ['input', ...(fields ?? recordColumns), 'error']
}

export function csvHeader(columns: readonly string[]): string {
  return stringify([columns.map(String)])
}

/** Rows of result lines (NDJSON). What is nested stands as JSON; of an error its title. */
export function csvRows(lines: string, columns: readonly string[]): string {
  const rows = lines
    .trimEnd()
    .split('\n')
    .map((line) => {
      const result = JSON.parse(line) as Readonly<Record<string, unknown>>
      return columns.map((column) => (column === 'error' ? titleOf(result[column]) : cellOf(result[column])))
    })
  return stringify(rows)
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function titleOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'title' in error ? String(error.title) : ''
}
