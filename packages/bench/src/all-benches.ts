import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BenchArguments } from './bench-arguments.ts'
import { type Bench, benches } from './benches.ts'
import { machineText } from './machine.ts'
import { type Findings, readmeSection, withSection } from './readme-section.ts'

const readme = fileURLToPath(new URL('../../../README.md', import.meta.url))

/** Runs every benchmark and writes what they found into README's table. One that cannot be run is named there. */
export const benchAll: Bench = async (words: BenchArguments) => {
  const findings: Findings[] = []
  const tables: string[] = []
  for (const [name, bench] of Object.entries(benches)) {
    process.stderr.write(`${name}\n`)
    try {
      const { table, rows = [] } = await bench(words)
      tables.push(`${name}\n\n${table}`)
      findings.push({ name, rows })
    } catch (error) {
      // What the command line asks for makes no sense.
      if (error instanceof RangeError || error instanceof TypeError) throw error
      const [fault = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
      tables.push(`${name}\n\nnot measured: ${fault}\n`)
      findings.push({ name, fault })
    }
  }
  const how = { command: ['npm run bench -- all', ...process.argv.slice(3)].join(' '), machine: await machineText() }
  const section = readmeSection(findings, { ...how, date: new Date() })
  writeFileSync(readme, withSection(readFileSync(readme, 'utf8'), section))
  return { report: { findings, ...how }, table: `${tables.join('\n')}\n${section}\n` }
}
