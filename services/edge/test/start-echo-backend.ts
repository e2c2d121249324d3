import { fileURLToPath } from 'node:url'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'

const entry = fileURLToPath(new URL('echo-backend.ts', import.meta.url))

/** `echo-backend.ts` as its own process, on this port or on a free one. */
export function startEchoBackend(port = 0): Promise<ServiceProcess> {
  return startService({ entry, name: 'backend', args: [String(port)] })
}
