import { openReplica } from './replica.ts'

/**
 * A replica in a process of its own, to be killed or stopped in the middle of its load.
 * Arguments: Redis's URL, subject, lease in ms, length of the load in ms. Prints `loading`, then how it went.
 */
const [url = '', subject = '', lifeMs = '', loadMs = ''] = process.argv.slice(2)
const replica = await openReplica({ url, lifeMs: Number(lifeMs) })
const load = async (): Promise<string> => {
  process.stdout.write('loading\n')
  await new Promise((resolve) => setTimeout(resolve, Number(loadMs)))
  return 'from the lone leader'
}
const flown = await replica.fly(subject, load, performance.now() + 60_000)
process.stdout.write(`${JSON.stringify(flown)}\n`)
replica.close()
