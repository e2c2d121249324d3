import { dirname, resolve } from 'node:path'
import { type Environment, type Fault, readText } from '@ipfleet/settings/sources.ts'
import { buildConfig } from './build-config.ts'
import { contradictions } from './contradictions.ts'
import type { EdgeConfig } from './edge-config.ts'
import { findTables } from './find-tables.ts'
import type { ConfigFault, GivenTable, Read } from './given.ts'
import type { Reading } from './read-table.ts'
import { readToml } from './read-toml.ts'

export type LoadedConfig =
  /** `file` is the absolute path of what was read; undefined: there was no file, and all is as preset. */
  | { readonly kind: 'config'; readonly config: EdgeConfig; readonly file: string | undefined }
  /** Everything that is wrong with the file. `text` has a line for each. */
  | { readonly kind: 'faults'; readonly text: string; readonly faults: readonly Fault[] }

export interface ConfigSource {
  /** As it was given; relative ones begin at `cwd`. Undefined: `config/proxy.toml`, if there is one. */
  readonly path: string | undefined
  /** What `${NAME}` refers to. */
  readonly env: Environment
  readonly cwd: string
}

export const defaultPath = 'config/proxy.toml'

/** Reads and checks the TOML file. Never throws for what an operator did; faults never show the environment's values. */
export function loadConfig({ path, env, cwd }: ConfigSource): LoadedConfig {
  const name = path ?? defaultPath
  const file = resolve(cwd, name)
  const content = readText(file)
  if (content.kind === 'failed') {
    if (path === undefined && content.code === 'ENOENT') return loadedFrom('', { name, env, file: undefined })
    return faultsIn(name, [{ line: undefined, message: `cannot be read (${content.code})` }])
  }
  return loadedFrom(content.text, { name, env, file })
}

interface Origin {
  /** What faults call the file. */
  readonly name: string
  readonly env: Environment
  readonly file: string | undefined
}

function loadedFrom(text: string, { name, env, file }: Origin): LoadedConfig {
  const root = readToml(text, env)
  const config = root.kind === 'value' ? readConfig(root.value, dirname(file ?? '')) : root
  return config.kind === 'value' ? { kind: 'config', config: config.value, file } : faultsIn(name, config.faults)
}

function readConfig(root: GivenTable, directory: string): Read<EdgeConfig> {
  const reading: Reading = { faults: [], directory }
  const tables = findTables(root, reading)
  const faults = [...reading.faults, ...contradictions(tables)]
  return faults.length > 0 ? { kind: 'faults', faults } : { kind: 'value', value: buildConfig(tables) }
}

/** In the order of the file. */
function faultsIn(file: string, found: readonly ConfigFault[]): LoadedConfig {
  const sorted = found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
  const faults = sorted.map(({ line, message }) => ({ name: line ? `${file} line ${line}` : file, message }))
  return { kind: 'faults', faults, text: faults.map(({ name, message }) => `${name}: ${message}\n`).join('') }
}
