import { once } from 'node:events'
import { openReplica } from './replica.ts'

/**
 * A replica in a process of its own, to be killed or stopped in the middle of its load.
 * Arguments: Redis's URL, subject, lease in ms. Prints `loading` and reads a line.
 * By then its lease has run out by its own clock. Prints how it went.
 */
const [url = '', subject = '', lifeMs = ''] = process.argv.slice(2)
let passedMs = 0
const clock = { nowMs: () => performance.now() + passedMs }
const replica = await openReplica({ url, lifeMs: Number(lifeMs), clock })
const load = async (): Promise<string> => {
  process.stdout.write('loading\n')
  await once(process.stdin, 'data')
  passedMs = Number(lifeMs)
  return 'from the lone leader'
}
const flown = await replica.fly(subject, load, performance.now() + 60_000)
process.stdout.write(`${JSON.stringify(flown)}\n`)
replica.close()
process.stdin.destroy()
