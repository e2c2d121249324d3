import { realLibraries } from './real-libraries.ts'
import { testPrograms } from './real-programs-harness.ts'
import { realTools } from './real-tools.ts'

const quick = new Set(['git', 'wget', 'Node fetch', 'Perl HTTP::Tiny', 'openssl', 'socks-proxy-agent'])

/** Of the programs in real-programs.long.test.ts, those that most machines have and that are quick. */
await testPrograms([...realTools, ...realLibraries].filter(({ name }) => quick.has(name)))
