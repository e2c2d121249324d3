/**
 * The same text (latin1) in one piece of memory that holds nothing else. V8 keeps a part of a string with the whole string,
 * and a sum of strings as a tree, which is walked each time that the text is written or becomes part of another sum.
 */
export function ownLatin1(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
