/** What is no key, though HTTP could carry it: other forms in which keys are handed over. */
const otherForms: readonly (readonly [RegExp, string])[] = [
  [/[^\u0021-\u007e]/, 'a key is visible ASCII characters'],
  [/["'`{}[\]<>]/, 'a key is written without quotes and brackets'],
  [/[,;]/, 'a key has no comma or semicolon in it'],
  [/:\/\//, 'a key is no URL'],
  [/^\$/, 'a key does not begin with $, as a variable does that nothing has replaced'],
  // A key may end in `=`, as base64 does.
  [/^\w+=[^=]/, 'a key stands there by itself, without NAME='],
]

/** Why this is no API key, in words that hold nothing of it. Undefined for what may be one. */
export function keyFault(secret: string): string | undefined {
  return otherForms.find(([form]) => form.test(secret))?.[1]
}
