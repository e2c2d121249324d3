import { readPort } from './authority.ts'

/** Both ends belong to it. */
export interface PortRange {
  readonly from: number
  readonly to: number
}

const anyPort: PortRange = { from: 1, to: 65_535 }

export const portRangesInWords = 'comma-separated; each a port or a range such as 1024-65535; * is any port'

/** `443,80,1024-65535`, or `*`. Undefined for anything else. */
export function readPortRanges(text: string): readonly PortRange[] | undefined {
  const items = text.split(',').map((item) => item.trim())
  const ranges = items.map((item) => (item === '*' ? anyPort : readRange(item)))
  return ranges.every((range) => range !== undefined) ? ranges : undefined
}

function readRange(text: string): PortRange | undefined {
  const [first = '', second = first, ...rest] = text.split('-')
  const from = readPort(first)
  const to = readPort(second)
  return from === undefined || to === undefined || from > to || rest.length > 0 ? undefined : { from, to }
}

export function showPortRanges(ranges: readonly PortRange[]): string {
  return ranges.map(showRange).join(',')
}

function showRange({ from, to }: PortRange): string {
  if (from === anyPort.from && to === anyPort.to) return '*'
  return from === to ? String(from) : `${from}-${to}`
}

export function includesPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ from, to }) => port >= from && port <= to)
}
