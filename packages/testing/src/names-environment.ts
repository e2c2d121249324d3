import { fileURLToPath } from 'node:url'

const preload = fileURLToPath(new URL('names-preload.ts', import.meta.url))

/** With this environment a service finds names in a JSON file, as `names-preload.ts` reads it, and nowhere else. */
export function namesEnvironment(file: string): Readonly<Record<'NODE_OPTIONS' | 'RESOLVER' | 'TEST_NAMES', string>> {
  return { NODE_OPTIONS: `--import=${preload}`, RESOLVER: 'system', TEST_NAMES: file }
}
