import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { findOnPath } from './find-on-path.ts'

export interface Load {
  readonly url: string
  /** Asked in turn. */
  readonly targets: readonly string[]
  readonly connections: number
  readonly seconds: number
}

/** What came back. Anything but a 200 is an error, as is a broken connection. */
export interface LoadResult {
  readonly requests: number
  readonly errors: number
  readonly p50Us: number
  readonly p99Us: number
}

export interface LoadGenerator {
  readonly name: string
  run(load: Load): Promise<LoadResult>
}

const execute = promisify(execFile)

/** `wrk` if it is installed, else a loop of our own. Both run as a process of their own. */
export function loadGenerator(): LoadGenerator {
  const wrk = findOnPath('wrk')
  return wrk === undefined ? ownLoop : { name: 'wrk', run: (load) => runWrk(wrk, load) }
}

const ownLoop: LoadGenerator = {
  name: 'built-in loop',
  run: async (load) => {
    const entry = fileURLToPath(new URL('load-loop.ts', import.meta.url))
    return resultIn((await execute(process.execPath, [entry, JSON.stringify(load)])).stdout)
  },
}

async function runWrk(wrk: string, { url, targets, connections, seconds }: Load): Promise<LoadResult> {
  const folder = await temporaryFolder('bench-wrk')
  try {
    const script = join(folder.path, 'targets.lua')
    writeFileSync(script, wrkScript(targets))
    const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script, url]
    return resultIn((await execute(wrk, args)).stdout)
  } finally {
    await folder.remove()
  }
}

/** The requests are made before the clock starts. wrk counts statuses over 399 apart from broken connections. */
function wrkScript(targets: readonly string[]): string {
  return `
local targets = { ${targets.map((target) => JSON.stringify(target)).join(', ')} }
local requests = {}
local turn = 0
init = function(args)
  for index, target in ipairs(targets) do requests[index] = wrk.format("GET", target) end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary, latency, rates)
  local failed = summary.errors
  local errors = failed.connect + failed.read + failed.write + failed.status + failed.timeout
  print(string.format('\\n{"requests":%d,"errors":%d,"p50Us":%d,"p99Us":%d}',
    summary.requests, errors, latency:percentile(50), latency:percentile(99)))
end
`
}

function resultIn(output: string): LoadResult {
  const line = output
    .split('\n')
    .toReversed()
    .find((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`the load generator told no result:\n${output}`)
  const result: LoadResult = JSON.parse(line)
  return result
}
