import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'

const procFolder = '/proc/sys/net/ipv4'
/** The default of Linux. */
const defaultRange = '32768 60999'

/**
 * Chooses the local ports of bound connections. The system chooses only ports that no other connection of the source
 * address uses, to any target, which limits an address to some 28,000 connections. A port that is given may be shared by
 * connections to different targets, since libuv 1.52 sets SO_REUSEADDR.
 */
export class LocalPorts {
  readonly #ports: Uint16Array
  readonly #usual: number
  readonly #leap: number
  #at: number

  /**
   * Starts at random, so that a restarted process meets few connections of the previous one. `spare` ports are used only
   * when the others are taken.
   */
  constructor(usual: readonly number[], spare: readonly number[] = []) {
    if (usual.length === 0) throw new RangeError('there must be local ports to leave from')
    this.#ports = Uint16Array.from([...usual, ...spare])
    this.#usual = usual.length
    this.#leap = leapOver(this.#ports.length)
    this.#at = randomInt(usual.length)
  }

  /** The ports from which this system chooses, read once. */
  static ofSystem(): LocalPorts {
    const ports = portsOf(read('ip_local_port_range') ?? defaultRange, read('ip_local_reserved_ports') ?? '')
    const { usual, spare } = sharedOut(ports)
    return new LocalPorts(usual, spare)
  }

  /** The next usual port: the longest unused one, unless sources are used very unevenly. */
  next(): number {
    this.#at = (this.#at + 1) % this.#usual
    return this.#ports[this.#at] ?? 0
  }

  /** A port far from the last one, which is taken, as its neighbours may be. Every port once before any comes again. */
  leap(): number {
    this.#at = (this.#at + this.#leap) % this.#ports.length
    return this.#ports[this.#at] ?? 0
  }
}

/**
 * Leaves ports to other programs. Linux never chooses a port that is bound, or was until a moment ago: thirty thousand
 * of ours in a minute would keep every other program on this machine from connecting. Linux first tries the ports with
 * the parity of the first one (since 4.2, commit 07f4c90062f8), so this process uses the rest.
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

/** About the golden section, which spreads the ports, and coprime with the count, so that it reaches all. */
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
