/** A string of JSON, from its quote on. Written so that a long one needs no long stack. */
const stringHere = /"[^"\\]*(?:\\.[^"\\]*)*"/y
const space = /\s*/y
const mark = /["{}[\],]/g

/**
 * The members of a JSON object, each with the text of its value as it stands there: numbers keep their digits and
 * objects the order of their keys, which `JSON.parse` would not keep. Undefined for anything but an object.
 * @param text valid JSON
 */
export function jsonMembers(text: string): Map<string, string> | undefined {
  let at = after(space, text, 0)
  if (text[at] !== '{') return undefined
  const members = new Map<string, string>()
  for (;;) {
    const name = after(space, text, at + 1)
    // Empty, or at its end.
    if (text[name] !== '"') return members
    const nameEnd = after(stringHere, text, name)
    const value = after(space, text, text.indexOf(':', nameEnd) + 1)
    at = endOfValue(text, value)
    members.set(JSON.parse(text.slice(name, nameEnd)) as string, text.slice(value, at).trimEnd())
  }
}

/** Where the comma or the brace is that follows a value. */
function endOfValue(text: string, start: number): number {
  let depth = 0
  mark.lastIndex = start
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    const [character] = found
    if (character === '"') mark.lastIndex = after(stringHere, text, found.index)
    else if (character === '{' || character === '[') depth += 1
    else if (depth === 0) return found.index
    else if (character !== ',') depth -= 1
  }
  return text.length
}

function after(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : text.length
}
