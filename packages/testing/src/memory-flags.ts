import { readFileSync } from 'node:fs'

const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
const { config } = JSON.parse(manifest) as { config: { memory_flags: string; edge_flags: string } }

/** What `npm start` and `npm run jobs` give Node to save memory. */
export const memoryFlags: readonly string[] = config.memory_flags.split(' ')

/** What `npm run edge` gives it. */
export const edgeFlags: readonly string[] = config.edge_flags.split(' ')
