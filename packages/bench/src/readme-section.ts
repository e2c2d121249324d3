import type { ReadmeRow } from './readme-rows.ts'

/** What one benchmark found, or why it could not be run. */
export type Findings = { readonly name: string } & (
  | { readonly rows: readonly ReadmeRow[] }
  | { readonly fault: string }
)

export interface Circumstances {
  /** As it was typed. */
  readonly command: string
  /** Processor, cores, versions. */
  readonly machine: string
  readonly date: Date
}

const begin = '<!-- bench: `npm run bench -- all` writes what follows -->'
const end = '<!-- bench: end -->'

/** README's table of what the benchmarks found, with the circumstances below it. */
export function readmeSection(findings: readonly Findings[], { command, machine, date }: Circumstances): string {
  const rows = findings.flatMap((one): readonly ReadmeRow[] =>
    'rows' in one ? one.rows : [[`\`npm run bench -- ${one.name}\``, '', `not measured: ${one.fault}`]],
  )
  const lines = rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`)
  const day = date.toISOString().slice(0, 10)
  return ['| | ipfleet ÷ | |', '| --- | --- | --- |', ...lines, '', `\`${command}\` on ${day}: ${machine}.`].join('\n')
}

/** The text with another section between the marks. Throws where they are missing. */
export function withSection(text: string, section: string): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`README.md lacks the marks '${begin}' and '${end}'`)
  return `${text.slice(0, from + begin.length)}\n\n${section}\n\n${text.slice(to)}`
}
