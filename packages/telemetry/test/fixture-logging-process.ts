import { createLogger } from '../src/logger.ts'

// Run by stdout.test.ts: writes as many lines as it is told to and ends in the way it is told to.
const [count = '0', ending = 'return'] = process.argv.slice(2)
const logger = createLogger({ level: 'info', format: 'json', secrets: [] })
for (let n = 1; n <= Number(count); n += 1) logger.info({ n }, 'line')

if (ending === 'exit') process.exit(0)
if (ending === 'throw') throw new Error('on purpose')
// Writes more than is kept for a reader that does not read, tells so, and stays until its standard input ends.
if (ending === 'flood') {
  const text = 'x'.repeat(1024)
  for (let n = 1; n <= 12_000; n += 1) logger.info({ n, text }, 'line')
  process.stderr.write('written\n')
  process.stdin.resume()
}
// Stays until its standard input ends.
if (ending === 'stay') process.stdin.resume()
// Goes on writing for half a second, whether or not anybody reads.
if (ending === 'go-on') {
  let left = 100
  const timer = setInterval(() => {
    logger.info('still here')
    left -= 1
    if (left > 0) return
    clearInterval(timer)
    logger.sink.flushSync()
    process.stderr.write('alive to the end\n')
  }, 5)
}
