import type { Failure } from '@ipfleet/cache/outcome.ts'
import { type Answered, type ItemCounts, LookupError } from './lookup.ts'

/** No answer to any item of a batch, and what became of them all the same. */
export class BatchError extends LookupError implements Pick<Answered, 'items' | 'units'> {
  readonly items: ItemCounts
  readonly units: number

  constructor(failure: Failure, { items, units }: Required<Pick<Answered, 'items' | 'units'>>) {
    super(failure)
    this.items = items
    this.units = units
  }
}
