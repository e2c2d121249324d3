import { isIPv4 } from 'node:net'
import { Readable } from 'node:stream'
import {
  addressesIn,
  addressesOfNetwork,
  loneAddress,
  NetworkTooLarge,
  networksIn,
  rangeOf,
  rangeText,
} from '@ipfleet/ip-lists/address-text.ts'
import { lineInputs } from '@ipfleet/ip-lists/line-inputs.ts'
import { isReserved } from '@ipfleet/net/reserved-addresses.ts'
import type { CommandContext } from './bulk-run.ts'
import { exitCodes, failure, usageFault } from './command-fault.ts'
import { searchedTexts } from './input-reader.ts'
import { toStream } from './output.ts'
import { sourcesOf } from './sources.ts'

export interface GrepOptions {
  /** As they were given; `-` is standard input. */
  readonly inputs: readonly string[]
  readonly ipv4?: boolean
  readonly ipv6?: boolean
  readonly excludeReserved?: boolean
  readonly unique?: boolean
}

export const rangeForms = ['networks', 'ranges', 'addresses'] as const

export interface RangesOptions {
  readonly ranges: readonly string[]
  readonly to: (typeof rangeForms)[number]
}

type LocalContext = Pick<CommandContext, 'folder' | 'stdin' | 'stdout' | 'signal'>

/** Prints the addresses in texts, one a line. @returns the exit code: 1 where there are none, as of grep */
export async function runGrep(options: GrepOptions, context: LocalContext): Promise<number> {
  const { inputs, ipv4, ipv6, excludeReserved, unique } = options
  const seen = new Set<string>()
  const isWanted = (address: string): boolean => {
    if (ipv4 !== ipv6 && isIPv4(address) !== (ipv4 === true)) return false
    if (excludeReserved && isReserved(address)) return false
    if (!unique) return true
    const isNew = !seen.has(address)
    seen.add(address)
    return isNew
  }
  const write = toStream(context.stdout)
  let count = 0
  for await (const texts of searchedTexts(await sourcesOf(inputs, undefined, context.folder, context.stdin))) {
    context.signal.throwIfAborted()
    const found = texts.flatMap(addressesIn).filter(isWanted)
    count += found.length
    await write(found.map((address) => `${address}\n`).join(''))
  }
  return count > 0 ? exitCodes.done : exitCodes.failed
}

/** Writes networks and ranges in another form. @throws CommandFault for what is neither, nor an address */
export async function runRanges({ ranges, to }: RangesOptions, { stdin, stdout }: LocalContext): Promise<number> {
  const isPiped = ranges.length === 0 || (ranges.length === 1 && ranges[0] === '-')
  const texts = isPiped ? lineInputs(stdin as AsyncIterable<Buffer>) : Readable.from([ranges])
  const write = toStream(stdout)
  for await (const lines of texts as AsyncIterable<readonly string[]>) {
    const filled = lines.filter((line) => line.trim() !== '')
    await write(
      filled
        .flatMap((line) => converted(line, to))
        .map((one) => `${one}\n`)
        .join(''),
    )
  }
  return exitCodes.done
}

function converted(line: string, to: RangesOptions['to']): readonly string[] {
  const address = loneAddress(line)
  const text = address === undefined ? line : `${address}/${isIPv4(address) ? 32 : 128}`
  const range = rangeOf(text)
  if (range === undefined) throw failure(`${JSON.stringify(line)} is no network, range or address`)
  if (to === 'networks') return networksIn(range)
  if (to === 'ranges') return [rangeText(range)]
  try {
    return addressesOfNetwork(text) ?? []
  } catch (error) {
    throw error instanceof NetworkTooLarge ? usageFault(error.message) : error
  }
}
