/** Keys, and positions in lists from 0, from the top: `['routes', 1, 'prefix']`. */
export type TomlPath = readonly (string | number)[]

const blank = /(?:\s|#[^\n]*)*/y
const quotedText = /"""(?:\\[^]|"(?!"")|[^"\\])*"{3,5}|'''(?:'(?!'')|[^'])*'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'/y
const plainValue = /[^][^,\]}\n#]*/y
const bareKey = /[\w-]+/y
const dot = /[ \t]*\.[ \t]*/y

/**
 * Where each key and list item of a TOML document stands; the parser (smol-toml 1.9) tells only where its own errors
 * are. The text must have been parsed without one: this looks for the places and does not check the grammar.
 */
export class TomlLines {
  readonly #text: string
  #at = 0
  #line = 1
  /** By `JSON.stringify` of the path. */
  readonly #lines = new Map<string, number>()
  /** How many tables each `[[list]]` has so far. */
  readonly #lengths = new Map<string, number>()

  constructor(text: string) {
    this.#text = text
    this.#document()
  }

  /** Counted from 1. For a path that is not in the document, the line of what would hold it. */
  lineOf(path: TomlPath): number {
    const line = path.length === 0 ? 1 : this.#lines.get(JSON.stringify(path))
    return line ?? this.lineOf(path.slice(0, -1))
  }

  #document(): void {
    let table: TomlPath = []
    this.#take(blank)
    while (this.#at < this.#text.length) {
      if (this.#take(/\[\[/y) !== undefined) table = this.#header(true)
      else if (this.#take(/\[/y) !== undefined) table = this.#header(false)
      else this.#pair(table)
      this.#take(blank)
    }
  }

  /** `[a.b]` or `[[a.b]]`, after its brackets: the path of the table that begins. */
  #header(isItem: boolean): TomlPath {
    const keys = this.#keys()
    const path: (string | number)[] = []
    for (const [index, key] of keys.entries()) {
      path.push(key)
      this.#note(path)
      const name = JSON.stringify(path)
      if (isItem && index === keys.length - 1) this.#lengths.set(name, (this.#lengths.get(name) ?? 0) + 1)
      const length = this.#lengths.get(name)
      // Whatever is said of a list of tables is said of its last one.
      if (length !== undefined) path.push(length - 1)
      this.#note(path)
    }
    this.#take(/[ \t]*\]{1,2}/y)
    return path
  }

  #pair(table: TomlPath): void {
    const path = [...table]
    for (const key of this.#keys()) {
      path.push(key)
      this.#note(path)
    }
    this.#take(/[ \t]*=/y)
    this.#value(path)
  }

  #value(path: TomlPath): void {
    this.#take(blank)
    if (this.#take(/\[/y) !== undefined) this.#listItems(path)
    else if (this.#take(/\{/y) !== undefined) this.#inlineTable(path)
    else if (this.#take(quotedText) === undefined) this.#take(plainValue)
  }

  #listItems(list: TomlPath): void {
    for (let index = 0; !this.#ends(/\]/y); index++) {
      const path = [...list, index]
      this.#note(path)
      this.#value(path)
      this.#comma()
    }
  }

  #inlineTable(table: TomlPath): void {
    while (!this.#ends(/\}/y)) {
      this.#pair(table)
      this.#comma()
    }
  }

  #ends(bracket: RegExp): boolean {
    this.#take(blank)
    return this.#take(bracket) !== undefined || this.#at >= this.#text.length
  }

  #comma(): void {
    this.#take(blank)
    this.#take(/,/y)
  }

  /** The parts of a dotted key. */
  #keys(): readonly string[] {
    const keys: string[] = []
    do {
      this.#take(/[ \t]*/y)
      const quoted = this.#take(quotedText)
      keys.push(quoted === undefined ? (this.#take(bareKey) ?? '') : unquoted(quoted))
    } while (this.#take(dot) !== undefined)
    return keys
  }

  /** The first place counts: a table that is named again is named only to get to what is in it. */
  #note(path: TomlPath): void {
    const name = JSON.stringify(path)
    if (!this.#lines.has(name)) this.#lines.set(name, this.#line)
  }

  /** Moves past what the pattern (sticky) finds here. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) return undefined
    this.#at += found.length
    this.#line += found.split('\n').length - 1
    return found
  }
}

/** A key with an escape that JSON does not have (`\e`, `\x`, `\U`) is not found by its path; what holds it is. */
function unquoted(key: string): string {
  if (key.startsWith("'") || !key.includes('\\')) return key.slice(1, -1)
  try {
    return String(JSON.parse(key))
  } catch {
    return key.slice(1, -1)
  }
}
