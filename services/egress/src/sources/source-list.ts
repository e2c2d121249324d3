import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import { parseCidr } from '@ipfleet/net/cidr.ts'
import { labelForm } from './parent-proxy.ts'

/** Whether a source is listed, named as `readSourceName` gives it. */
export type SourceList = (source: string) => boolean

/** Reads what a user may choose: addresses, blocks and labels of parents, separated by commas, or `*` for all. */
export function readSourceList(text: string): SourceList | undefined {
  if (text === '*') return () => true
  const items = text.split(',')
  const blocks = items.filter((item) => parseCidr(item) !== undefined)
  const labels = new Set(items.filter((item) => !blocks.includes(item)).map(readSourceName))
  if (labels.has(undefined)) return undefined
  const isInBlock = addressBlocks(blocks)
  return (source) => labels.has(source) || isInBlock(source)
}

/** A source as the pool names it: an address in canonical spelling, or the label of a parent. */
export function readSourceName(text: string): string | undefined {
  // What looks like an address and is none is a mistake.
  return canonicalAddress(text) ?? (labelForm.test(text) && !/^[\d.]+$/.test(text) ? text : undefined)
}
