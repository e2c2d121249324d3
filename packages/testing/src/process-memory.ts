import { readFileSync } from 'node:fs'

/** Bytes that a process takes now (`VmRSS`), or the most it ever took (`VmHWM`). Linux only. */
export function processMemory(pid: number, kind: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${kind}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
}
