import { openSync } from 'node:fs'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { dnsLookUp } from '../src/dns-look-up.ts'

/** Looks up a name when no file can be opened any more, and says with which code that fails. */

const lookUp = dnsLookUp({ servers: ['127.0.0.1:9'], listOwn: () => [] })
openAll()
await lookUp('a.test').catch((error: unknown) => process.stdout.write(`${errorCode(error)}\n`))

function openAll(): void {
  try {
    for (;;) openSync('/dev/null', 'r')
  } catch {
    // There are no more.
  }
}
