import { parse, TomlError, type TomlTableWithoutBigInt, type TomlValueWithoutBigInt } from 'smol-toml'
import type { Environment } from '@ipfleet/settings/sources.ts'
import type { Given, GivenTable, Read } from './given.ts'
import { resolveReferences } from './references.ts'
import { TomlLines, type TomlPath } from './toml-lines.ts'

/** A TOML document as values that know where they stand. The parser tells only the first fault of grammar. */
export function readToml(text: string, env: Environment): Read<GivenTable> {
  try {
    const document = parse(text, { integersAsBigInt: false })
    const reader = new GivenReader(new TomlLines(text), env)
    return { kind: 'value', value: reader.table(document, []) }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // What follows the first line is a piece of the document.
    const reason = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '')
    return {
      kind: 'faults',
      faults: [{ line: error.line, message: `not valid TOML, column ${error.column}: ${reason}` }],
    }
  }
}

class GivenReader {
  readonly #lines: TomlLines
  readonly #env: Environment

  constructor(lines: TomlLines, env: Environment) {
    this.#lines = lines
    this.#env = env
  }

  table(table: TomlTableWithoutBigInt, path: TomlPath): GivenTable {
    const entries = Object.entries(table).map(([key, value]) => [key, this.#given(value, [...path, key])] as const)
    return { ...this.#place(path), kind: 'table', entries: new Map(entries) }
  }

  #given(value: TomlValueWithoutBigInt, path: TomlPath): Given {
    const place = this.#place(path)
    if (typeof value === 'number') return { ...place, kind: 'number', value }
    if (typeof value === 'boolean') return { ...place, kind: 'flag', value }
    if (typeof value === 'string') {
      const resolved = resolveReferences(value, this.#env)
      return resolved.kind === 'text' ? { ...place, ...resolved, written: value } : { ...place, ...resolved }
    }
    if (Array.isArray(value)) {
      return { ...place, kind: 'list', items: value.map((item, index) => this.#given(item, [...path, index])) }
    }
    return isTable(value) ? this.table(value, path) : { ...place, kind: 'other' }
  }

  #place(path: TomlPath) {
    return { line: this.#lines.lineOf(path), name: path.filter((part) => typeof part === 'string').join('.') }
  }
}

/** Tables have no prototype; dates, of whatever class, have one. */
function isTable(value: object): value is TomlTableWithoutBigInt {
  return Object.getPrototypeOf(value) === null
}
