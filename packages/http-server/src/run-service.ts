import { onSignals, type OnSignalsOptions } from './on-signals.ts'

interface Service {
  start(): Promise<unknown>
  stop(): Promise<void>
}

type Log = OnSignalsOptions['log'] & { fatal(message: string): void }

/** A whole service: until a signal stops it, or with exit code 1 when it cannot start, which is logged. */
export async function runService(create: () => Service, log: Log): Promise<void> {
  try {
    const service = create()
    onSignals({ stop: () => service.stop(), log })
    await service.start()
  } catch (error) {
    log.fatal(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}
