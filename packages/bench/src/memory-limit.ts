import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerCommand } from './measured-server.ts'

/** A control group of Linux that kills what takes more memory than it may, as the engine of containers does. */
export interface MemoryLimit extends Disposable {
  /** The same command, run within the group from its start. */
  readonly limited: (command: ServerCommand) => ServerCommand
  /** Of the whole group, the page cache included. */
  readonly peakBytes: () => number
  readonly kills: () => number
}

/** The files of the two versions of control groups. */
const versions = [
  {
    root: '/sys/fs/cgroup/memory',
    max: 'memory.limit_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    events: 'memory.oom_control',
  },
  { root: '/sys/fs/cgroup', max: 'memory.max', peak: 'memory.peak', events: 'memory.events' },
] as const

/** Undefined where this process may not make control groups of memory. */
export function memoryLimit(name: string, maxBytes: number): MemoryLimit | undefined {
  for (const { root, max, peak, events } of versions) {
    const group = join(root, `ipfleet-bench-${process.pid}-${name.replaceAll(' ', '-')}`)
    if (!isMade(group, join(group, max), maxBytes)) continue
    const read = (file: string): string => readFileSync(join(group, file), 'utf8')
    return {
      limited: ({ command, args, ...rest }) => ({
        ...rest,
        command: 'sh',
        args: (port, folder) => [
          '-c',
          'echo $$ > "$0" && exec "$@"',
          join(group, 'cgroup.procs'),
          command,
          ...args(port, folder),
        ],
      }),
      peakBytes: () => Number(read(peak)),
      kills: () => Number(/^oom_kill (\d+)$/m.exec(read(events))?.[1] ?? 0),
      [Symbol.dispose]: () => rmdirSync(group),
    }
  }
  return undefined
}

function isMade(group: string, maxFile: string, maxBytes: number): boolean {
  let wasMade = false
  try {
    mkdirSync(group)
    wasMade = true
    writeFileSync(maxFile, String(maxBytes), { flag: 'r+' })
    return true
  } catch {
    if (wasMade) rmdirSync(group)
    return false
  }
}
