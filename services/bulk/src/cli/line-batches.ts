import { addressIn } from '../input/address-in.ts'

/** Inputs that are answered together. */
export interface LineBatch {
  readonly inputs: readonly string[]
  /** Those of the inputs, each once, in their canonical spelling. */
  readonly addresses: readonly string[]
}

/** What the fleet is asked at a time: few enough that a live look-up that comes behind it does not wait for long. */
const maxAddresses = 250
/** A list that repeats itself shows results now and then too. */
const maxInputs = 5000
/** Of inputs, which may be anything as long as the lists do not say that it is an address. */
const maxCharacters = 256 * 1024

/** Cuts inputs into batches, in their order. */
export async function* lineBatches(groups: AsyncIterable<readonly string[]>): AsyncGenerator<LineBatch> {
  let inputs: string[] = []
  let addresses = new Set<string>()
  let characters = 0
  for await (const group of groups) {
    for (const input of group) {
      const address = addressIn(input)
      inputs.push(input)
      characters += input.length
      if (address !== undefined) addresses.add(address)
      if (addresses.size < maxAddresses && inputs.length < maxInputs && characters < maxCharacters) continue
      yield { inputs, addresses: [...addresses] }
      inputs = []
      addresses = new Set()
      characters = 0
    }
  }
  if (inputs.length > 0) yield { inputs, addresses: [...addresses] }
}
