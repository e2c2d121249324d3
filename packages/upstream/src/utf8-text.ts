interface Text {
  readonly contentType: string
  readonly body: Buffer
}

const textType = /^(?:text\/|[^;]*json)/i
/** The parameter of a media type (RFC 9110 §8.3.2). */
const charset = /(;\s*charset\s*=\s*"?)([\w:.-]+)/i
const byteOrderMark = Buffer.from('\ufeff')

/**
 * Text and JSON in UTF-8 and without a byte order mark, which parsers of JSON refuse (RFC 8259 §8.1): parts of a record
 * are cut out of it, and answers of several requests are put into one. Anything else stays as it is, as does text in a
 * charset that is not known.
 */
export function utf8Text({ contentType, body }: Text): Text {
  if (!textType.test(contentType)) return { contentType, body }
  const label = charset.exec(contentType)?.[2]
  if (label !== undefined && !/^utf-?8$/i.test(label)) return transcoded({ contentType, body }, label)
  const hasMark = body.subarray(0, byteOrderMark.length).equals(byteOrderMark)
  return hasMark ? { contentType, body: body.subarray(byteOrderMark.length) } : { contentType, body }
}

function transcoded({ contentType, body }: Text, label: string): Text {
  try {
    const text = new TextDecoder(label).decode(body)
    return { contentType: contentType.replace(charset, '$1utf-8'), body: Buffer.from(text) }
  } catch {
    return { contentType, body }
  }
}
