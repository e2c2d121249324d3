import type { Further } from '@ipfleet/settings/load-settings.ts'
import { loadedOrExit } from '@ipfleet/settings/loaded-or-exit.ts'
import { describeConfig } from './describe-config.ts'
import type { EdgeConfig } from './edge-config.ts'
import { defaultPath, loadConfig, type LoadedConfig } from './load-config.ts'
import { certificateFault } from '@ipfleet/http-server/certificate.ts'
import { type EdgeSettings, settingsRules, settingsSchema } from '../settings.ts'

export interface EdgeOptions {
  readonly settings: EdgeSettings
  readonly config: EdgeConfig
  /** Absolute path of the file that `config` was read from; undefined when there was none. */
  readonly file: string | undefined
  /** Reads the same file again, with the environment of the start. For SIGHUP: nothing is printed, nothing ends. */
  readonly reload: () => LoadedConfig
}

const program = {
  program: 'edge',
  summary: 'The reverse proxy in front of the fleet: balances, limits each client, and fails over.',
  options: [{ name: 'config', value: 'FILE', help: `the TOML file; otherwise ${defaultPath}, if there is one` }],
}

/** For the first line of `start.ts`: the environment and the TOML file, or the end of the process as in `loadedOrExit`. */
export function edgeOptionsOrExit(): EdgeOptions {
  const { settings, further } = loadedOrExit(settingsSchema, { ...program, rules: settingsRules, further: configFile })
  return { settings, ...further }
}

/**
 * The same for a worker, which is told the configuration by the primary: the file may have become bad since, and the
 * worker that takes a dead one's place would die of it.
 */
export function edgeSettingsOrExit(): EdgeSettings {
  return loadedOrExit(settingsSchema, program).settings
}

const configFile: Further<Omit<EdgeOptions, 'settings'>> = {
  about:
    'What the edge does stands in the TOML file: its tables and their keys. ${NAME} in a text is replaced by that ' +
    'variable of the environment, also where a text of nothing else stands for a number, true or false; $${ is ${ ' +
    'itself. SIGHUP reads the file again.',
  rows: describeConfig(),
  read: ({ options, env, cwd, onlyChecks }) => {
    const reload = () => loadConfig({ path: options['config'], env, cwd })
    const loaded = reload()
    if (loaded.kind === 'faults') return loaded
    const { config, file } = loaded
    const fault = config.tls && certificateFault(config.tls, onlyChecks ? { validAtMs: Date.now() } : {})
    if (fault !== undefined) return { kind: 'faults', faults: [{ name: 'tls', message: fault }] }
    return { kind: 'value', value: { config, file, reload } }
  },
}
