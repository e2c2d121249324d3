import { broken, JsonArrayCutter, type JsonElement } from './json-array-cutter.ts'
import { jsonInput } from './json-input.ts'

/**
 * One input for each element of a JSON array: a string itself, an object's member `column`, or else the element's text,
 * which fails by itself later on.
 * @throws ProxyError `bad_request` where the body is no array or the JSON is broken, `payload_too_large` for an element
 */
export async function* jsonInputs(pieces: AsyncIterable<Buffer>, column: string): AsyncGenerator<readonly string[]> {
  let inputs: string[] = []
  const cutter = new JsonArrayCutter((element) => inputs.push(inputOf(element, column)))
  for await (const piece of pieces) {
    cutter.push(piece)
    yield inputs
    inputs = []
  }
  cutter.end()
}

function inputOf({ text, start, end, isPlainString, number, offset }: JsonElement, column: string): string {
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
