import { broken, JsonArrayCutter, type JsonElement } from './json-array-cutter.ts'
import { lineInputs } from './line-inputs.ts'

/**
 * One input for each element of a JSON array: a string itself, an object's member `column`, or else the element's text,
 * which gets an error later.
 * @throws ProxyError `bad_request` where the body is no array or the JSON is broken, `payload_too_large` for an element
 */
export async function* jsonInputs(pieces: AsyncIterable<Buffer>, column: string): AsyncGenerator<readonly string[]> {
  let inputs: string[] = []
  const cutter = new JsonArrayCutter((element) => inputs.push(elementInput(element, column)))
  for await (const piece of pieces) {
    cutter.push(piece)
    yield inputs
    inputs = []
  }
  cutter.end()
}

function elementInput({ text, start, end, isPlainString, number, offset }: JsonElement, column: string): string {
  if (isPlainString) return text.toString('utf8', start + 1, end - 1)
  const json = text.toString('utf8', start, end)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw broken(`element ${number} of the array, after ${offset} bytes, is no JSON`)
  }
  return jsonInput(value, column) ?? json
}

/**
 * One input for each line: its JSON string, or its object's member `column`. A line that holds neither, or no JSON, is
 * itself the input, which gets an error later.
 * @throws ProxyError `payload_too_large`
 */
export async function* ndjsonInputs(pieces: AsyncIterable<Buffer>, column: string): AsyncGenerator<readonly string[]> {
  for await (const lines of lineInputs(pieces)) {
    yield lines.map((line) => lineInput(line, column))
  }
}

function lineInput(line: string, column: string): string {
  try {
    return jsonInput(JSON.parse(line), column) ?? line
  } catch {
    return line
  }
}

/** The input in a JSON value: a string itself, an object's member `column`; undefined for all else. */
function jsonInput(value: unknown, column: string): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, column)) return undefined
  const member: unknown = Object.getOwnPropertyDescriptor(value, column)?.value
  return typeof member === 'string' ? member : undefined
}
