import { choice, textual } from './kinds.ts'
import { grouped, type SettingsOf } from './setting.ts'

const LOG_FORMAT = choice(['text', 'json'], { default: 'text', help: 'Lines for a terminal, or for a collector' })

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const levelHelp =
  'Least level that is logged; info includes a line per request, debug those of health checks and scrapes too'

export const plainLogSettings = grouped('Log', {
  LOG_LEVEL: choice(levels, { default: 'info', help: levelHelp }),
  LOG_FORMAT,
})

/** The log of the services that stand in the place of programs in Rust, whose users know RUST_LOG. */
export const logSettings = grouped('Log', {
  LOG_LEVEL: choice(levels, { optional: true, help: `${levelHelp}. Unset: RUST_LOG, and without that info` }),
  LOG_FORMAT,
  RUST_LOG: textual({
    optional: true,
    read: rustLevel,
    allowed: 'trace or debug or info or warn or error or off',
    help: 'Another name for LOG_LEVEL, which goes before it. Of a list (info,hyper=warn) the level that is for all counts',
  }),
})

const rustLevels = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const

/** Directives of Rust's env_logger: those with a target are for modules of other programs. */
function rustLevel(given: string): (typeof rustLevels)[number] | undefined {
  const general = given.split(',').filter((directive) => !directive.includes('='))
  const named = general.at(-1)?.trim().toLowerCase() ?? 'info'
  return rustLevels.find((level) => level === named)
}

type LevelSettings = Pick<SettingsOf<typeof logSettings>, 'LOG_LEVEL' | 'RUST_LOG'>

/** The level that is logged, under whichever name it was set. */
export function logLevelOf({ LOG_LEVEL: own, RUST_LOG: other }: LevelSettings) {
  return own ?? (other === 'off' ? 'silent' : (other ?? 'info'))
}
