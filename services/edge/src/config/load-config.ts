import { resolve } from 'node:path'
import { type Environment, type Fault, readText } from '@ipfleet/settings/sources.ts'
import { readToml, TomlDocument, type TomlFault } from '@ipfleet/settings/toml-document.ts'
import { tomlFaults } from '@ipfleet/settings/toml-schema.ts'
import { configFile } from './config-schema.ts'
import { contradictions, wrongNames } from './contradictions.ts'
import { buildConfig, type EdgeConfig } from './edge-config.ts'

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
  const document = readToml(text, { env, file: file ?? '' })
  if (!(document instanceof TomlDocument)) return faultsIn(name, [document])
  const read = fileOf(document).safeParse(document.root)
  if (!read.success) return faultsIn(name, tomlFaults(read.error.issues, document))
  // Without it replicas let in those on their own machine only, and so no one who comes by the edge.
  if (read.data.console.enabled && !env['ADMIN_TOKEN'] && !env['ADMIN_TOKEN_FILE']) {
    const message = 'console.enabled: needs ADMIN_TOKEN in the environment, the same as that of the replicas'
    return faultsIn(name, [{ line: document.lineOf(['console', 'enabled']), message }])
  }
  return { kind: 'config', config: buildConfig(read.data), file }
}

/** The schema with what only the document as a whole can tell. */
function fileOf(document: TomlDocument) {
  return configFile
    .superRefine(
      (_, context) => wrongNames(document).forEach((fault) => context.addIssue({ code: 'custom', ...fault })),
      {
        when: () => true,
      },
    )
    .superRefine(
      (tables, context) =>
        contradictions(tables, document).forEach((fault) => context.addIssue({ code: 'custom', ...fault })),
      // They look into all tables, which have to be tables; what is wrong in one of them does not matter.
      { when: ({ issues }) => issues.every(({ code }) => code === 'custom') },
    )
}

function faultsIn(file: string, found: readonly TomlFault[]): LoadedConfig {
  const faults = found.map(({ line, message }) => ({ name: line ? `${file} line ${line}` : file, message }))
  return { kind: 'faults', faults, text: faults.map(({ name, message }) => `${name}: ${message}\n`).join('') }
}
