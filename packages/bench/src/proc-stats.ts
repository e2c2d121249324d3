import { readdirSync, readFileSync } from 'node:fs'

/** What Linux tells of a process under /proc. */

/** Ticks of the kernel's accounting clock per second; 100 on every Linux that Node runs on (USER_HZ). */
const ticksPerSecond = 100

/** CPU time that a process and its children (nginx's workers) have used so far, all threads, user and system. */
export function cpuTimeUs(pid: number): number {
  const ticks = familyOf(pid).reduce((sum, member) => sum + cpuTicks(member), 0)
  return (ticks / ticksPerSecond) * 1e6
}

/** Memory that a process and its children hold (VmRSS), in bytes. What they share is counted once for each. */
export function residentBytes(pid: number): number {
  const kilobytes = familyOf(pid).map((member) =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${member}/status`, 'utf8'))?.[1]),
  )
  return kilobytes.reduce((sum, each) => sum + each, 0) * 1024
}

/** The most memory that a process has ever held (VmHWM), in bytes; without its children. Undefined once it is gone. */
export function peakBytes(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}

/** How many files a process may have open, out of the text of its /proc/PID/limits; Infinity where there is no end. */
export function openFilesLimit(limits: string): number {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1]
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

function familyOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => statFields(other)[1] === String(pid))
  return [pid, ...children]
}

function cpuTicks(pid: number): number {
  const fields = statFields(pid)
  // proc(5): utime and stime are fields 14 and 15, counted from the pid; here from the state, field 3.
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
}

/** The fields behind the command's name, which may hold blanks and brackets itself. Empty if the process is gone. */
function statFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
