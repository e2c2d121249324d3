import type { ServiceProcess } from '../src/service-process.ts'

/** What a test file has opened, to be closed in reverse order. */
export class Opened extends AsyncDisposableStack {
  /** A service that is stopped with the rest. */
  async service(starting: Promise<ServiceProcess>): Promise<ServiceProcess> {
    const service = await starting
    this.defer(async () => void (await service.stop()))
    return service
  }
}
