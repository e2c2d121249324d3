import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import type { ConsoleConfig } from '../config/edge-config.ts'
import { HiddenPaths } from './hidden-paths.ts'

/**
 * `/console` and what is below it, in the one spelling that all servers read alike: no escapes, and no segment that is
 * empty or begins with a dot, so that nothing else is reached by it.
 */
const plainPath = /^\/console(?:\/[\w~-][\w.~-]*)*\/?(?:\?|$)/

/** The console of the replicas: hidden as what else they offer their operators, and open to some where that is wanted. */
export class ConsolePaths {
  readonly #enabled: boolean
  readonly #isAllowed: (address: string) => boolean

  constructor({ enabled, allow }: ConsoleConfig) {
    this.#enabled = enabled
    this.#isAllowed = addressBlocks(allow)
  }

  /** Those of the file, and /console too: unless nothing is hidden, since other servers may have a path of that name. */
  hidden(paths: readonly string[]): HiddenPaths {
    return new HiddenPaths(paths.length > 0 || this.#enabled ? [...paths, '/console'] : [])
  }

  /** Whether a hidden path is the console's, and open to this client. */
  isOpen(target: string, address: string): boolean {
    return this.#enabled && plainPath.test(target) && this.#isAllowed(address)
  }
}
