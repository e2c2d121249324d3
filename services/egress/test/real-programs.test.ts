import { testPrograms } from './real-programs-harness.ts'
import { realPrograms } from './real-programs.ts'

/** Of the programs in real-programs.long.test.ts, those that most machines have and that are quick. */
await testPrograms(
  realPrograms.filter(({ name }) => ['git', 'wget', 'Node fetch', 'Perl HTTP::Tiny', 'openssl'].includes(name)),
)
