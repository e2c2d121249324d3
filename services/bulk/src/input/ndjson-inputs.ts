import { jsonInput } from './json-input.ts'
import { lineInputs } from './line-inputs.ts'

/**
 * One input for each line: its JSON string, or its object's member `column`. A line that holds neither, or no JSON at
 * all, is itself the input: it fails by itself later on.
 * @throws ProxyError `payload_too_large`
 */
export async function* ndjsonInputs(pieces: AsyncIterable<Buffer>, column: string): AsyncGenerator<readonly string[]> {
  for await (const lines of lineInputs(pieces)) {
    yield lines.map((line) => inputOf(line, column))
  }
}

function inputOf(line: string, column: string): string {
  try {
    return jsonInput(JSON.parse(line), column) ?? line
  } catch {
    return line
  }
}
