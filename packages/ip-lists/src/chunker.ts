import { isIP } from 'node:net'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'

export interface Chunk {
  readonly index: number
  readonly inputs: readonly string[]
  /** The distinct addresses among the inputs, as `addressOf` gives them. */
  readonly addresses: ReadonlySet<string>
}

/** A chunk ends at the first of these. */
export interface ChunkLimits {
  readonly addresses: number
  readonly lines: number
  /** Of all inputs together. */
  readonly characters: number
  /** What an input counts as among the addresses; undefined for an input that is no address. */
  readonly addressOf: (input: string) => string | undefined
}

/**
 * Of a job. Two spellings of an address count as two, so that a chunk may hold fewer addresses than allowed: recognising
 * them as one costs more than all else.
 */
export const chunkLimits: ChunkLimits = {
  /** One batch request takes as many. */
  addresses: 1000,
  lines: 4000,
  characters: 256 * 1024,
  addressOf: (input) => {
    const address = input.trim()
    return isIP(address) === 0 ? undefined : address
  },
}

/** Of a batch that a program asks for by itself. */
export const batchLimits: ChunkLimits = {
  /** Few enough that a live look-up that comes behind a batch does not wait long. */
  addresses: 250,
  /** A list that repeats itself shows results now and then too. */
  lines: 5000,
  characters: 256 * 1024,
  addressOf: addressIn,
}

/** The address that an input is, in its canonical spelling; undefined for what is none. Blanks around it are ignored. */
export function addressIn(input: string): string | undefined {
  return canonicalAddress(input.trim())
}

/** Cuts inputs into chunks. These depend on the inputs alone, and not on how they are grouped. */
export async function* chunksOf(
  groups: AsyncIterable<readonly string[]>,
  limits: ChunkLimits = chunkLimits,
): AsyncGenerator<Chunk> {
  let index = 0
  let inputs: string[] = []
  let addresses = new Set<string>()
  let characters = 0
  for await (const group of groups) {
    for (const input of group) {
      const isFull = addresses.size === limits.addresses || inputs.length === limits.lines
      // Any input fits into an empty chunk.
      if (isFull || (characters + input.length > limits.characters && inputs.length > 0)) {
        yield { index, inputs, addresses }
        index += 1
        inputs = []
        addresses = new Set()
        characters = 0
      }
      inputs.push(input)
      characters += input.length
      const address = limits.addressOf(input)
      if (address !== undefined) addresses.add(address)
    }
  }
  if (inputs.length > 0) yield { index, inputs, addresses }
}
