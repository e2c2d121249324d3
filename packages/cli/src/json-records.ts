import { isRecord, parseJsonExactly } from '@ipfleet/core/json.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressColumn, addressNameRank } from '@ipfleet/ip-lists/address-columns.ts'
import { broken } from '@ipfleet/ip-lists/json-array-cutter.ts'
import { memberAt } from '@ipfleet/ip-lists/json-inputs.ts'
import { isAddress } from './list-form.ts'

/** A document is parsed as a whole, which takes some times its size. */
const maxDocumentBytes = 16 * 1024 * 1024
const maxDepth = 5
/** Of an object with thousands of members only these are looked at. */
const maxPaths = 500
const sampledElements = 50

type JsonObject = Readonly<Record<string, unknown>>

/**
 * The records of JSON documents that follow one another, over any number of lines, as `jq` prints them: each document
 * itself, or the elements of the array in it that holds addresses (`{"Records": […]}`).
 * @param column that is asked for. @throws ProxyError for what is broken, or larger than is held
 */
export async function* jsonRecords(
  pieces: AsyncIterable<Buffer>,
  column: string | undefined,
): AsyncGenerator<readonly unknown[]> {
  for await (const text of documentsIn(pieces)) {
    const document = parseJsonExactly(text)
    if (!isRecord(document)) throw broken(`${JSON.stringify(text.slice(0, 60))} is no JSON object`)
    yield recordsIn(document, column)
  }
}

const [quote, backslash, openBrace, openBracket, closeBrace, closeBracket] = Buffer.from('"\\{[}]')

/** What may stand before, between and behind documents: blanks, and the marks of lists and of RFC 7464. */
const between: ReadonlySet<number> = new Set(Buffer.from(' \t\r\n,\u001e\ufeff'))

/** Whole documents, by their brackets. */
async function* documentsIn(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let held: Buffer[] = []
  let heldBytes = 0
  let depth = 0
  let inString = false
  let isEscaped = false
  for await (const piece of pieces) {
    let start = 0
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at]
      if (inString) {
        inString = isEscaped || byte !== quote
        isEscaped = !isEscaped && byte === backslash
      } else if (byte === quote && depth > 0) {
        inString = true
      } else if (byte === openBrace || byte === openBracket) {
        if (depth === 0) start = at
        depth += 1
      } else if ((byte === closeBrace || byte === closeBracket) && depth > 0) {
        depth -= 1
        if (depth > 0) continue
        yield Buffer.concat([...held, piece.subarray(start, at + 1)]).toString()
        held = []
        heldBytes = 0
      } else if (depth === 0 && byte !== undefined && !between.has(byte)) {
        throw broken(`${JSON.stringify(piece.subarray(at, at + 60).toString())} stands between objects`)
      }
    }
    if (depth === 0) continue
    held.push(piece.subarray(start))
    heldBytes += piece.length - start
    if (heldBytes > maxDocumentBytes) {
      const message = `It is a JSON document of over ${maxDocumentBytes} bytes. Write its records one a line: jq -c '.data[]'`
      throw new ProxyError('payload_too_large', { message })
    }
  }
  if (depth > 0) throw broken('it ends inside of an object')
}

/** @param column that is asked for */
function recordsIn(document: JsonObject, column: string | undefined): readonly unknown[] {
  if (column !== undefined && memberAt(document, column) !== undefined) return [document]
  const turned = tableIn(document)
  if (turned !== undefined) return turned
  const own = memberWithAddress([document])
  if (own !== undefined && addressNameRank(own) !== undefined) return [document]
  return recordsWithAddresses(document) ?? [document]
}

/**
 * Of what pandas writes by columns or by index: objects of objects, where the number of a row is a name; also of columns
 * that are arrays of one length.
 */
function tableIn(document: JsonObject): readonly unknown[] | undefined {
  const inner = Object.values(document)
  if (!(inner.every(isRecord) || areColumns(document)) || inner.length === 0) return undefined
  if (isNumbered(document)) return inner
  const rows = Object.keys(inner[0] ?? {})
  if (!inner.every((one) => isNumbered(one as JsonObject))) return undefined
  return rows.map((row) =>
    Object.fromEntries(Object.entries(document).map(([name, cells]) => [name, memberAt(cells, row)])),
  )
}

/** Arrays of plain values, all of one length; but no lists of addresses by their use. */
function areColumns(document: JsonObject): boolean {
  const arrays = Object.values(document).filter((value) => Array.isArray(value))
  if (arrays.length < Object.keys(document).length || arrays.length < 2) return false
  const cells: readonly unknown[] = arrays.flat()
  if (new Set(arrays.map(({ length }) => length)).size > 1 || cells.some((cell) => cell instanceof Object)) return false
  const isNamed = Object.keys(document).some((name) => addressNameRank(name) !== undefined)
  return isNamed || !cells.every((cell) => typeof cell === 'string' && isAddress(cell))
}

function isNumbered(object: JsonObject): boolean {
  const names = Object.keys(object)
  return names.length > 0 && names.every((name) => /^\d+$/.test(name))
}

/**
 * The elements of the outermost arrays of which some hold addresses: a document may have one for each family, or for each
 * use. Rows that are arrays get the names in `columns`.
 */
function recordsWithAddresses(document: JsonObject): readonly unknown[] | undefined {
  let level: readonly JsonObject[] = [document]
  for (let depth = 0; depth < maxDepth && level.length > 0; depth += 1) {
    const arrays = level.flatMap((object) =>
      Object.values(object).flatMap((array) => (Array.isArray(array) ? [asRecords(array, object['columns'])] : [])),
    )
    const holding = arrays.filter((records) => records.slice(0, sampledElements).some(holdsAddress))
    if (holding.length > 0) return holding.flat()
    level = level.flatMap((object) => Object.values(object).filter(isRecord)).slice(0, maxPaths)
  }
  return undefined
}

function holdsAddress(value: unknown): boolean {
  if (typeof value === 'string') return isAddress(value)
  return isRecord(value) && memberWithAddress([value]) !== undefined
}

/** What a column without a name is called. @param at its position, from 0 */
export const unnamedColumn = (at: number): string => `column_${at + 1}`

/** Arrays become objects. @param names of their elements */
export function asRecords(values: readonly unknown[], names?: unknown): readonly unknown[] {
  const columns = Array.isArray(names) ? names.map(String) : []
  return values.map((value) =>
    Array.isArray(value)
      ? Object.fromEntries(value.map((cell, at) => [columns[at] ?? unnamedColumn(at), cell as unknown]))
      : value,
  )
}

/** The texts that a member is: itself, or of an array its elements. */
export function textsIn(member: unknown): readonly string[] {
  if (typeof member === 'string') return [member]
  return Array.isArray(member) ? member.filter((one) => typeof one === 'string') : []
}

/**
 * The texts of the member with the addresses of the other family, where an object has that in its place: `ipv6Prefix` for
 * `ipv4Prefix`, `ipv6_prefix` for `ip_prefix`.
 */
export function textsOfOtherFamily(object: JsonObject, path: string): readonly string[] {
  const like = withoutFamily(path)
  const texts = pathsIn([object]).flatMap((other) =>
    withoutFamily(other) === like ? textsIn(memberAt(object, other)) : [],
  )
  return texts.some(isAddress) ? texts : []
}

const withoutFamily = (path: string): string => path.toLowerCase().replaceAll(/v?[46]|_/g, '')

export function memberWithAddress(objects: readonly JsonObject[]): string | undefined {
  const paths = pathsIn(objects)
  const cells = objects.map((object) => paths.map((path) => textsIn(memberAt(object, path)).find(isAddress) ?? ''))
  const found = addressColumn(paths, cells, isAddress)
  return found && paths[found.index]
}

/** Names and paths of the members of objects. */
export function pathsIn(objects: readonly JsonObject[]): string[] {
  return [...new Set(objects.flatMap((object) => pathsOf(object, maxDepth)))].slice(0, maxPaths)
}

function pathsOf(object: JsonObject, depth: number): string[] {
  return Object.entries(object).flatMap(([name, value]) =>
    isRecord(value) && !JSON.isRawJSON(value) && depth > 1
      ? [name, ...pathsOf(value, depth - 1).map((inner) => `${name}.${inner}`)]
      : [name],
  )
}
