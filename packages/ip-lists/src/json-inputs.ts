import { parseJson, parseJsonExactly } from '@ipfleet/core/json.ts'
import { broken, JsonArrayCutter, type JsonElement } from './json-array-cutter.ts'
import { lineInputs } from './line-inputs.ts'

/**
 * One input for each element of a JSON array: a string itself, an object's member `column`, or else the element's text,
 * which gets an error later.
 * @throws ProxyError `bad_request` where the body is no array or the JSON is broken, `payload_too_large` for an element
 */
export function jsonInputs(pieces: AsyncIterable<Buffer>, column: string): AsyncGenerator<readonly string[]> {
  return elementsOf(pieces, (element) => elementInput(element, column))
}

/** The elements of a JSON array. @throws as `jsonInputs` */
export function jsonValues(pieces: AsyncIterable<Buffer>): AsyncGenerator<readonly unknown[]> {
  return elementsOf(pieces, elementValue)
}

async function* elementsOf<Value>(
  pieces: AsyncIterable<Buffer>,
  read: (element: JsonElement) => Value,
): AsyncGenerator<readonly Value[]> {
  let values: Value[] = []
  const cutter = new JsonArrayCutter((element) => values.push(read(element)))
  for await (const piece of pieces) {
    cutter.push(piece)
    yield values
    values = []
  }
  cutter.end()
}

function elementInput(element: JsonElement, column: string): string {
  const { text, start, end, isPlainString } = element
  if (isPlainString) return text.toString('utf8', start + 1, end - 1)
  return jsonInput(elementValue(element), column) ?? text.toString('utf8', start, end)
}

function elementValue({ text, start, end, number, offset }: JsonElement): unknown {
  const value = parseJsonExactly(text.toString('utf8', start, end))
  if (value !== undefined) return value
  throw broken(`element ${number} of the array, after ${offset} bytes, is no JSON`)
}

/**
 * One input for each line: its JSON string, or its object's member `column`. A line that holds neither, or no JSON, is
 * itself the input, which gets an error later.
 * @throws ProxyError `payload_too_large`
 */
export async function* ndjsonInputs(pieces: AsyncIterable<Buffer>, column: string): AsyncGenerator<readonly string[]> {
  for await (const lines of lineInputs(pieces)) {
    yield lines.map((line) => jsonInput(parseJson(line), column) ?? line)
  }
}

/** The input in a JSON value: a string itself, an object's member `column`; undefined for all else, a list too. */
function jsonInput(value: unknown, column: string): string | undefined {
  if (typeof value === 'string') return value
  const member = Array.isArray(value) ? undefined : memberAt(value, column)
  return typeof member === 'string' ? member : undefined
}

/** The member of an object by its name, which may hold dots, or else by its path (`client.ip`, `domains.0`). */
export function memberAt(value: unknown, path: string): unknown {
  const own = ownMember(value, path)
  const dot = path.indexOf('.')
  if (own !== undefined || dot <= 0) return own
  const whole = ownMember(value, path.slice(0, dot))
  return whole === undefined ? undefined : memberAt(whole, path.slice(dot + 1))
}

const ownMember = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
