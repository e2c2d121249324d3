import { realLibraries } from './real-libraries.ts'
import { testPrograms } from './real-programs-harness.ts'
import { realTools } from './real-tools.ts'

/** Programs that others have written go through the proxy, in every way that they know. */
await testPrograms([...realTools, ...realLibraries])
