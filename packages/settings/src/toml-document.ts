import { dirname } from 'node:path'
import { type AST, ParseError, parseTOML } from 'toml-eslint-parser'
import type { Environment } from './sources.ts'
import { resolveReferences } from './toml-references.ts'

/** Keys, and positions in lists from 0, from the top: `['routes', 1, 'prefix']`. */
export type TomlPath = readonly PropertyKey[]

/** What is wrong in a file, in words that hold nothing of the environment. */
export interface TomlFault {
  /** Counted from 1; undefined when it is about the file as a whole. */
  readonly line: number | undefined
  readonly message: string
}

/** A text of the document, with its references to the environment. */
export class TomlText {
  /** As the file has it: `${NAME}` and not what the environment holds. */
  readonly written: string
  /** Where relative paths begin. */
  readonly directory: string
  /** With its references replaced; undefined when they lead nowhere, and `reason` then says which. */
  readonly text: string | undefined
  readonly reason: string | undefined
  /** Whether it is one reference and nothing else, and so may stand for a number or a flag too. */
  readonly isReference: boolean

  constructor(written: string, env: Environment, directory: string) {
    const resolved = resolveReferences(written, env)
    this.written = written
    this.directory = directory
    this.text = resolved.kind === 'text' ? resolved.text : undefined
    this.reason = resolved.kind === 'text' ? undefined : resolved.reason
    this.isReference = resolved.kind === 'text' && resolved.isReference
  }
}

/** Without a prototype, so that `__proto__` is a key like any other. */
export type TomlTable = { [key: string]: unknown }

export function isTomlTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null
}

/** A value as the document would have it, for defaults. */
export function asWritten(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asWritten)
  return typeof value === 'string' ? new TomlText(value, {}, '') : value
}

export interface TomlSource {
  /** What `${NAME}` refers to. */
  readonly env: Environment
  /** Absolute; relative paths in it begin at its directory. */
  readonly file: string
}

/** A TOML document: its values (texts as `TomlText`), and where each of them stands. */
export class TomlDocument {
  readonly root: TomlTable = emptyTable()
  readonly #source: TomlSource
  /** By `JSON.stringify` of the path. The first place counts: a table that is named again only leads to what is in it. */
  readonly #lines = new Map<string, number>()

  /** @throws ParseError of toml-eslint-parser, which tells the first fault of grammar */
  constructor(text: string, source: TomlSource) {
    this.#source = source
    for (const node of parseTOML(text).body[0].body) {
      if (node.type === 'TOMLKeyValue') this.#addPair(this.root, [], node)
      else this.#addTable(node)
    }
  }

  /** Counted from 1. For a path that is not in the document, the line of what would hold it. */
  lineOf(path: TomlPath): number {
    const line = path.length === 0 ? 1 : this.#lines.get(JSON.stringify(path))
    return line ?? this.lineOf(path.slice(0, -1))
  }

  has(path: TomlPath): boolean {
    return this.#lines.has(JSON.stringify(path))
  }

  #addTable({ resolvedKey, loc, body }: AST.TOMLTable): void {
    const table = this.#tableAt(this.root, [], resolvedKey, loc.start.line)
    for (const pair of body) this.#addPair(table, resolvedKey, pair)
  }

  #addPair(table: TomlTable, path: TomlPath, { key, value }: AST.TOMLKeyValue): void {
    const keys = key.keys.map((part) => (part.type === 'TOMLBare' ? part.name : part.value))
    const { line } = key.loc.start
    const holder = this.#tableAt(table, path, keys.slice(0, -1), line)
    const whole = [...path, ...keys]
    this.#note(whole, line)
    holder[keys.at(-1) ?? ''] = this.#valueOf(value, whole)
  }

  /** The table that `keys` lead to from `from`, made where it is not there yet. */
  #tableAt(from: TomlTable, path: TomlPath, keys: TomlPath, line: number): TomlTable {
    return keys.reduce<TomlTable>((holder, key, index) => {
      this.#note([...path, ...keys.slice(0, index + 1)], line)
      const name = String(key)
      holder[name] ??= typeof keys[index + 1] === 'number' ? [] : emptyTable()
      // The parser has checked that what is named as a table or a list of tables is one.
      return holder[name] as TomlTable
    }, from)
  }

  #valueOf(node: AST.TOMLContentNode, path: TomlPath): unknown {
    if (node.type === 'TOMLInlineTable') {
      const table = emptyTable()
      for (const pair of node.body) this.#addPair(table, path, pair)
      return table
    }
    if (node.type === 'TOMLArray') {
      return node.elements.map((item, index) => {
        this.#note([...path, index], item.loc.start.line)
        return this.#valueOf(item, [...path, index])
      })
    }
    const { env, file } = this.#source
    return typeof node.value === 'string' ? new TomlText(node.value, env, dirname(file)) : node.value
  }

  #note(path: TomlPath, line: number): void {
    const name = JSON.stringify(path)
    if (!this.#lines.has(name)) this.#lines.set(name, line)
  }
}

function emptyTable(): TomlTable {
  return Object.create(null) as TomlTable
}

/** The document, or the first fault of its grammar, which shows nothing of it. */
export function readToml(text: string, source: TomlSource): TomlDocument | TomlFault {
  try {
    return new TomlDocument(text, source)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    const { line, column, reason } = inWords(error, text)
    return { line, message: `not valid TOML, column ${column}: ${reason}` }
  }
}

/** toml-eslint-parser 1.0.3 finds a value that is left out in the next line, and is not plain about keys given twice. */
function inWords({ message, index, lineNumber, column }: ParseError, text: string) {
  if (message.startsWith('The key, equals sign, and value')) {
    const lines = text.slice(0, index).trimEnd().split('\n')
    return { line: lines.length, column: (lines.at(-1) ?? '').length + 1, reason: 'a value belongs in this line' }
  }
  const isRepeated = message.startsWith('Defining a key multiple times')
  const reason = isRepeated ? 'this would redefine a key or table from above' : message
  return { line: lineNumber, column: column + 1, reason }
}
