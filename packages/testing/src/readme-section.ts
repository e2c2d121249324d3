import { readFileSync, writeFileSync } from 'node:fs'

export interface ReadmeSection {
  readonly readme: URL
  /** The comments around it, without `<!-- ` and ` -->`. */
  readonly begin: string
  readonly end: string
}

/**
 * What stands in a README between two comments; undefined when they are not there. With `UPDATE_README=1` in the
 * environment, `wanted` is written there first.
 */
export function readmeSection({ readme, begin, end }: ReadmeSection, wanted: string): string | undefined {
  const marked = new RegExp(`(?<=<!-- ${begin} -->\n)[^]*?(?=<!-- ${end} -->)`)
  const text = readFileSync(readme, 'utf8')
  if (!process.env['UPDATE_README']) return marked.exec(text)?.[0]
  const updated = text.replace(marked, () => wanted)
  writeFileSync(readme, updated)
  return marked.exec(updated)?.[0]
}
