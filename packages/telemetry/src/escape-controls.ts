/**
 * What must not reach a terminal or a line-by-line reader as it came: control characters (with DEL and C1), marks that
 * reorder or hide text, line and paragraph separators, halves of surrogate pairs, and what is no character.
 */
const control = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Text with such characters as `\uXXXX`, which is how JSON writes them. Whatever else can be read stays readable. */
export function escapeControls(text: string): string {
  // Nearly all text is printable ASCII.
  return /^[ -~]*$/.test(text) ? text : text.replace(control, escaped)
}

/** A character outside of the first plane becomes two, as in JSON. */
function escaped(character: string): string {
  let text = ''
  for (let at = 0; at < character.length; at += 1) {
    text += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  }
  return text
}

/** A string that came from outside as JSON. Nearly all are plain. */
export function jsonString(value: string): string {
  return /^[ !#-[\]-~]*$/.test(value) ? `"${value}"` : escapeControls(JSON.stringify(value))
}
