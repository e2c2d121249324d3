import type { ResponseWriter } from '@ipfleet/http-server/response-writer.ts'
import { type Answered, answerEnds, type ItemCounts } from '../lookup/answered.ts'

/**
 * What a batch's answer says of its items: `Ipfleet-Items`, a Dictionary (RFC 9651 §3.2) of how many ended how, and
 * `Ipfleet-Units`, an Item: how many of them were put to upstream. Set beside the fields that are there already.
 */
export function setItemFields(res: ResponseWriter, { items, units = 0 }: Pick<Answered, 'items' | 'units'>): void {
  if (items === undefined) return
  res.setHeader('Ipfleet-Items', itemsField(items))
  res.setHeader('Ipfleet-Units', units)
  // Without this a browser hides the fields from the page that asked.
  res.appendHeader('Access-Control-Expose-Headers', 'Ipfleet-Items, Ipfleet-Units')
}

export function itemsField(items: ItemCounts): string {
  return answerEnds.flatMap((end) => (items[end] === undefined ? [] : `${end}=${items[end]}`)).join(', ')
}
