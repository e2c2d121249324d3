import type { AnswerHead, RawFields } from '@ipfleet/hop/hop.ts'

const trailer = 'trailer'

/**
 * What of an answer's fields the client gets: not `ours` (in lower case), which is this hop's to say, nor Trailer where
 * no trailers can follow; Node 26 (lib/_http_outgoing.js) throws for that.
 */
export function passedFields({ fields, framing }: AnswerHead, clientVersion: string, ours: string): string[] {
  const mayAnnounce = framing === 'chunked' && clientVersion !== '1.0'
  for (let index = 0; index < fields.length; index += 2) {
    if (isDropped(fields[index] ?? '', mayAnnounce, ours)) return withoutDropped(fields, mayAnnounce, ours)
  }
  return fields
}

/** The length rules out nearly every other field before anything is lower-cased. */
function isDropped(name: string, mayAnnounce: boolean, ours: string): boolean {
  if (name.length === ours.length) return name.toLowerCase() === ours
  return !mayAnnounce && name.length === trailer.length && name.toLowerCase() === trailer
}

function withoutDropped(fields: RawFields, mayAnnounce: boolean, ours: string): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [name = '', value = ''] = [fields[index], fields[index + 1]]
    if (!isDropped(name, mayAnnounce, ours)) kept.push(name, value)
  }
  return kept
}
