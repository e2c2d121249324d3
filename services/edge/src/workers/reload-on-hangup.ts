import { closeSync, openSync } from 'node:fs'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Reload } from './serving.ts'

export interface ReloadOnHangupOptions<Config> {
  readonly reload: Reload<Config>
  /** Puts a good configuration into force. */
  readonly apply: (config: Config) => void | Promise<void>
  readonly logger: Logger
}

/** All that stop a service, without the one that has the configuration read again. */
export const stopSignals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT']

/**
 * On SIGHUP the configuration is read again: a good one is applied, a bad one is logged and changes nothing. The SIGHUP of
 * a terminal that is closed stops the process instead.
 */
export function reloadOnHangup<Config>(options: ReloadOnHangupOptions<Config>): void {
  let latest = Promise.resolve()
  const hadTerminal = hasTerminal()
  // One after the other, so that the file as it was read last is the one in force.
  process.on('SIGHUP', () => {
    if (hadTerminal && !hasTerminal()) return void process.kill(process.pid, 'SIGTERM')
    latest = latest.then(() => reloadOnce(options))
  })
}

/** Opening the controlling terminal fails (ENXIO) when there is none, and after it was closed. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

async function reloadOnce<Config>({ reload, apply, logger }: ReloadOnHangupOptions<Config>): Promise<void> {
  try {
    const reread = await reload()
    if (reread.kind === 'faults') {
      logger.error({ faults: reread.text }, 'the configuration has faults and was not taken over')
      return
    }
    await apply(reread.config)
    logger.info('configuration taken over')
  } catch (error) {
    logger.error({ err: error }, 'the configuration could not be taken over')
  }
}
