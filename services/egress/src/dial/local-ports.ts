import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'

const procFolder = '/proc/sys/net/ipv4'
/** Linux's, unless it is told otherwise. */
const defaultRange = '32768 60999'

/**
 * Which local port a bound connection leaves from. When the system chooses, it must find a port that nothing else of
 * that source address uses, whatever the target, so that one address could hold no more than some 28,000 connections.
 * A port that is named may be shared by connections to different targets, since SO_REUSEADDR is set (libuv 1.52 does).
 */
export class LocalPorts {
  readonly #ports: Uint16Array
  readonly #usual: number
  readonly #leap: number
  #at: number

  /**
   * Starts anywhere, so that a process that is started again meets few connections of the one before. `spare` ports are
   * given only when the others are taken.
   */
  constructor(usual: readonly number[], spare: readonly number[] = []) {
    if (usual.length === 0) throw new RangeError('there must be local ports to leave from')
    this.#ports = Uint16Array.from([...usual, ...spare])
    this.#usual = usual.length
    this.#leap = leapOver(this.#ports.length)
    this.#at = randomInt(usual.length)
  }

  /** Those from which this system chooses, read once. */
  static ofSystem(): LocalPorts {
    const ports = portsOf(read('ip_local_port_range') ?? defaultRange, read('ip_local_reserved_ports') ?? '')
    const { usual, spare } = sharedOut(ports)
    return new LocalPorts(usual, spare)
  }

  /** The usual one after the last that was given: the longest unused, unless sources are taken very unevenly. */
  next(): number {
    this.#at = (this.#at + 1) % this.#usual
    return this.#ports[this.#at] ?? 0
  }

  /**
   * One far from the last that was given, which is taken: those beside it probably are, too. As many in a row as there
   * are ports are all different.
   */
  leap(): number {
    this.#at = (this.#at + this.#leap) % this.#ports.length
    return this.#ports[this.#at] ?? 0
  }
}

/**
 * Which ports to leave to others. Linux gives a connection that names none no port that any has bound, not even if it
 * has only just been closed: thirty thousand of ours in a minute, and nobody on this machine could connect any more. It
 * begins with those that are as even, or as odd, as the first (since 4.2, commit 07f4c90062f8), so ours are the rest.
 */
export function sharedOut(ports: readonly number[]): { readonly usual: number[]; readonly spare: number[] } {
  const [first = 0] = ports
  const usual = ports.filter((port) => port % 2 !== first % 2)
  const spare = ports.filter((port) => port % 2 === first % 2)
  return usual.length === 0 ? { usual: spare, spare: [] } : { usual, spare }
}

/** `range`: '32768 60999', both included; `reserved`: '8080,30000-30010' or nothing, which are left out. */
export function portsOf(range: string, reserved: string): number[] {
  const [first = 0, last = 0] = numbersIn(range)
  const blocks = reserved.split(',').map(numbersIn)
  const isReserved = (port: number): boolean =>
    blocks.some(([from = Infinity, to = from]) => from <= port && port <= to)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index).filter((port) => !isReserved(port))
}

function numbersIn(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number)
}

/** About the golden section, which spreads what it leads to, and without a common divisor, so that it leads to all. */
function leapOver(count: number): number {
  let leap = Math.max(1, Math.round(count * 0.618))
  while (commonDivisor(leap, count) > 1) leap -= 1
  return leap
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

/** Undefined where there is no such file: not Linux. */
function read(name: string): string | undefined {
  try {
    return readFileSync(`${procFolder}/${name}`, 'utf8')
  } catch {
    return undefined
  }
}
