import { testPrograms } from './real-programs-harness.ts'
import { realPrograms } from './real-programs.ts'

/** Programs that others have written go through the proxy, in every way that they know. */
await testPrograms(realPrograms)
