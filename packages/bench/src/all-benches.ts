import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BenchArguments } from './bench-arguments.ts'
import { type Bench, benches } from './benches.ts'
import { machineText } from './machine.ts'
import { type Findings, readmeSection, withSection } from './readme-section.ts'

const readme = fileURLToPath(new URL('../../../README.md', import.meta.url))

/**
 * Runs every benchmark and writes what they found into README's table, after each of them: a run takes half an hour. One
 * that cannot be run is named there.
 */
export const benchAll: Bench = async (words: BenchArguments) => {
  const findings: Findings[] = []
  const tables: string[] = []
  const how = { command: ['npm run bench -- all', ...process.argv.slice(3)].join(' '), machine: await machineText() }
  for (const [name, bench] of Object.entries(benches)) {
    process.stderr.write(`${name}\n`)
    const measured = await bench(words).catch(faultOf)
    tables.push(`${name}\n\n${'fault' in measured ? `not measured: ${measured.fault}\n` : measured.table}`)
    findings.push({ name, ...('fault' in measured ? measured : { rows: measured.rows ?? [] }) })
    const section = readmeSection(findings, { ...how, date: new Date() })
    writeFileSync(readme, withSection(readFileSync(readme, 'utf8'), section))
  }
  return { report: { findings, ...how }, table: tables.join('\n') }
}

/** Throws on what the command line asks for and makes no sense. */
function faultOf(error: unknown): { readonly fault: string } {
  if (error instanceof RangeError || error instanceof TypeError) throw error
  const [fault = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
  return { fault }
}
