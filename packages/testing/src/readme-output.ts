import { stripVTControlCharacters } from 'node:util'

/**
 * Whether a block printed what its README shows. There `…` stands for anything within a line, and for any lines where it
 * is a line by itself. Colours, carriage returns and blanks at the ends of lines do not count.
 */
export function isReadmeOutput(shown: string, printed: string): boolean {
  const pattern = plainLines(shown).map((line) => (line === '…' ? '(?:.*\n)*?' : `${linePattern(line)}\n`))
  return new RegExp(`^${pattern.join('')}$`).test(`${plainLines(printed).join('\n')}\n`)
}

function linePattern(line: string): string {
  return line
    .split('…')
    .map((words) => RegExp.escape(words))
    .join('.*')
}

function plainLines(text: string): readonly string[] {
  return stripVTControlCharacters(text.replaceAll('\r', ''))
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd())
}
