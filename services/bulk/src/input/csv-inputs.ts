import { csvLayout, rowsOfLayout, type CsvForm, type CsvLayout } from './csv-layout.ts'
import { csvRows, type CsvRow } from './csv-rows.ts'

/**
 * One input for each row of a CSV but its header: the field in the column that the form asks for, or that holds the
 * addresses. A row without that field is an empty input, which fails by itself later on.
 * @throws ProxyError `bad_request`, `payload_too_large`
 */
export async function* csvInputs(pieces: AsyncIterable<Buffer>, form: CsvForm): AsyncGenerator<readonly string[]> {
  let layout: CsvLayout | undefined
  let held: CsvRow[] = []
  for await (const rows of csvRows(pieces)) {
    if (layout !== undefined) {
      yield inputsOf(rows, layout.index)
      continue
    }
    held = held.concat(rows)
    if (held.length < rowsOfLayout) continue
    layout = csvLayout(held.slice(0, rowsOfLayout), form)
    yield firstInputsOf(held, layout)
    held = []
  }
  if (held.length > 0) yield firstInputsOf(held, csvLayout(held, form))
}

function firstInputsOf(rows: readonly CsvRow[], { hasHeader, index }: CsvLayout): string[] {
  return inputsOf(hasHeader ? rows.slice(1) : rows, index)
}

function inputsOf(rows: readonly CsvRow[], index: number): string[] {
  return rows.map((row) => row[index] ?? '')
}
