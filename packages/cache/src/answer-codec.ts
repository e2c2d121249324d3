import type { Answer } from './entry.ts'

/**
 * An answer as bytes: a line of JSON about it, then the body verbatim.
 * The version comes first so that replicas of different releases can share a Redis.
 */
const version = 1

export function encodeAnswer(answer: Answer, about: Record<string, number | boolean>): Buffer {
  const head = JSON.stringify({ v: version, status: answer.status, type: answer.contentType, ...about })
  return Buffer.concat([Buffer.from(`${head}\n`), answer.body])
}

/** The answer and what was said about it; undefined for bytes that another version or something else wrote. */
export function decodeAnswer(bytes: Buffer): { answer: Answer; about: Record<string, unknown> } | undefined {
  const end = bytes.indexOf(0x0a)
  if (end === -1) return undefined
  const head = parseHead(bytes.toString('utf8', 0, end))
  if (head?.v !== version || typeof head.status !== 'number' || typeof head.type !== 'string') return undefined
  const { status, type, ...about } = head
  return { answer: { status, contentType: type, body: bytes.subarray(end + 1) }, about }
}

function parseHead(line: string): Record<string, unknown> | undefined {
  try {
    const head: unknown = JSON.parse(line)
    return typeof head === 'object' && head !== null ? { ...head } : undefined
  } catch {
    return undefined
  }
}
