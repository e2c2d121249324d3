import { hash } from 'node:crypto'
import type { Coding } from './compression.ts'

/**
 * A strong validator (RFC 9110 §8.8.3): a hash of the body as it is without a coding, and the coding, since each
 * coded form is a representation of its own.
 */
export function entityTag(body: Buffer, coding?: Coding): string {
  return taggedWith(hash('sha256', body, 'base64url').slice(0, 22), coding)
}

function taggedWith(digest: string, coding: Coding | undefined): string {
  return coding === undefined ? `"${digest}"` : `"${digest}-${coding}"`
}

/** The tag of a coded form of what has this tag. */
export function codedTag(tag: string, coding: Coding): string {
  return taggedWith(tag.slice(1, -1), coding)
}

/**
 * Whether the client has what it would be sent (If-None-Match, RFC 9110 §13.1.2). The comparison is the weak one.
 * @param ifNoneMatch of a GET or HEAD that would otherwise be answered with 200
 */
export function isHeld(ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  for (const [held] of ifNoneMatch.matchAll(/"[^"]*"/g)) if (held === tag) return true
  return false
}
