import { isIP } from 'node:net'

/** A run of a job's inputs that is looked up together. */
export interface Chunk {
  /** From 0. */
  readonly index: number
  /** How many inputs of the job are before it. */
  readonly firstLine: number
  readonly inputs: readonly string[]
}

/** What ends a chunk, whichever comes first. */
export const chunkLimits = {
  /** As many as one batch question takes. */
  addresses: 1000,
  lines: 4000,
  /** Of text in all. */
  characters: 256 * 1024,
} as const

/**
 * Cuts inputs into chunks, which depend on the inputs alone and not on the groups that they come in. Two spellings of an
 * address count as two, which makes chunks smaller at most: telling that they are one costs more than all the rest.
 */
export async function* chunksOf(groups: AsyncIterable<readonly string[]>): AsyncGenerator<Chunk> {
  let index = 0
  let firstLine = 0
  const open = new OpenChunk()
  for await (const group of groups) {
    for (const input of group) {
      if (open.takes(input)) continue
      const inputs = open.close()
      yield { index, firstLine, inputs }
      index += 1
      firstLine += inputs.length
      open.takes(input)
    }
  }
  const inputs = open.close()
  if (inputs.length > 0) yield { index, firstLine, inputs }
}

class OpenChunk {
  #inputs: string[] = []
  #characters = 0
  readonly #addresses = new Set<string>()

  /** Adds an input if the chunk is not full; any input fits into an empty one. */
  takes(input: string): boolean {
    if (this.#addresses.size === chunkLimits.addresses || this.#inputs.length === chunkLimits.lines) return false
    if (this.#characters + input.length > chunkLimits.characters && this.#inputs.length > 0) return false
    this.#inputs.push(input)
    this.#characters += input.length
    const address = input.trim()
    if (isIP(address) !== 0) this.#addresses.add(address)
    return true
  }

  close(): readonly string[] {
    const inputs = this.#inputs
    this.#inputs = []
    this.#characters = 0
    this.#addresses.clear()
    return inputs
  }
}
