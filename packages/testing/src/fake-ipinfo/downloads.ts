import { type Answer, json, redirect } from './answer.ts'
import { hash } from './subject.ts'

/** `/data/{file}`: where the database is, for a while, on a host that asks for no token. */
export function downloadAnswer(file: string, nowMs: number): Answer {
  const signed = new URLSearchParams({
    'X-Goog-Algorithm': 'GOOG4-RSA-SHA256',
    'X-Goog-Expires': '3600',
    'X-Goog-Signature': hash(`${file}@${Math.floor(nowMs)}`)
      .toString(16)
      .padStart(64, '0'),
  })
  return redirect(`https://storage.googleapis.com/ipinfo-downloads/${file}?${signed.toString()}`)
}

/** `/data/{file}/checksums`, free of charge. */
export function checksumsAnswer(file: string): Answer {
  const digest = (length: number): string =>
    hash(file)
      .toString(16)
      .padStart(8, '0')
      .repeat(length / 8)
  return json({ checksums: { md5: digest(32), sha1: digest(40), sha256: digest(64) } })
}
