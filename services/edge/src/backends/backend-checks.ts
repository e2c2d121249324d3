import type { Clock } from '@ipfleet/core/clock.ts'
import type { GroupConfig, HealthConfig } from '../config/edge-config.ts'
import type { Backend } from './backend.ts'
import type { BackendSet } from './backend-set.ts'
import type { HealthCheck, HealthVerdict } from './health-check.ts'
import { HealthChecker } from './health-checker.ts'

export interface BackendChecksDeps {
  /** That in force. */
  readonly config: () => { readonly group: GroupConfig; readonly health: HealthConfig }
  readonly backends: BackendSet
  readonly checkHealth: HealthCheck
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly onUnhealthy: (backend: Backend, reason: string) => void
}

/** The active checks of a group's backends, and what comes of them. */
export class BackendChecks {
  readonly #deps: BackendChecksDeps

  constructor(deps: BackendChecksDeps) {
    this.#deps = deps
  }

  /** Has a backend checked, or not checked any more, as configured. */
  attend(backend: Backend): void {
    if (this.#path !== '') {
      if (backend.checker !== undefined) return backend.checker.configure(this.#deps.config().health)
      backend.checker = this.#checkerOf(backend)
      return backend.checker.start()
    }
    backend.checker?.close()
    backend.checker = undefined
    if (backend.state === 'unhealthy') this.#deps.backends.bringBack(backend)
  }

  #checkerOf(backend: Backend): HealthChecker {
    const { config, backends, clock, random, onUnhealthy } = this.#deps
    const check = (signal: AbortSignal): Promise<HealthVerdict> => this.#check(backend, signal)
    const checker = new HealthChecker(config().health, { check, clock, random })
    checker.on('healthy', () => backends.bringBack(backend))
    checker.on('unhealthy', (reason) => {
      backends.takeOut(backend, reason)
      onUnhealthy(backend, reason)
    })
    return checker
  }

  #check({ pool: { target }, authority }: Backend, signal: AbortSignal): Promise<HealthVerdict> {
    const { checkHealth, config } = this.#deps
    return checkHealth({ target, authority, path: this.#path, timeoutMs: config().health.timeoutMs }, signal)
  }

  /** '' when there are no active checks. */
  get #path(): string {
    const { group, health } = this.#deps.config()
    return group.healthPath ?? health.path ?? ''
  }
}
