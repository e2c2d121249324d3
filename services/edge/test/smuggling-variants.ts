/**
 * Requests that some pair of servers has once read in two ways: desync techniques as published by Watchfire (2005),
 * J. Kettle (2019 to 2025), the T-Reqs, HTTP Garden and HDiff papers, and CVEs of proxies since.
 */

/**
 * What becomes of one and the probe behind it: the backend sees nothing (`refused`), perhaps the beginning of a request
 * (`broken off`), or as many requests. One means that the connection ends before the probe.
 */
export type Outcome = 'refused' | 'broken off' | number

export interface SmugglingVariant {
  readonly name: string
  /** Latin-1. The probe follows at once. */
  readonly bytes: string
  readonly outcome: Outcome
}

/** Follows each variant on the same connection. */
export const probe = 'GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const hidden = 'GET /smuggled HTTP/1.1\r\nHost: a\r\nX-Y: '
const hiddenWhole = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

/** A POST with these field lines. */
const post = (lines: string, body = ''): string => `POST /first HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n${body}`
/** A body that ends at once for who reads chunks, and later for who goes by a length of as many bytes. */
const short = `0\r\n\r\n${hidden}`
const length = `Content-Length: ${short.length}`
/** A body that ends after `Content-Length: 4` for who goes by that, and later for who reads chunks. */
const long = `${hiddenWhole.length.toString(16)}\r\n${hiddenWhole}\r\n0\r\n\r\n`
const chunked = 'Transfer-Encoding: chunked'
const wholeLength = `Content-Length: ${hiddenWhole.length}`
const upgrade = 'Connection: Upgrade\r\nUpgrade: '
/** A chunked POST with this body. */
const chunks = (body: string): string => post(chunked, body)
const get = (line: string, lines = 'Host: a'): string => `${line}\r\n${lines}\r\n\r\n`

type Row = readonly [name: string, bytes: string, outcome: Outcome]

/** Both framings at once. */
const bothFramings: readonly Row[] = [
  ['CL.TE', post(`${length}\r\n${chunked}`, short), 'refused'],
  ['CL.TE, the other order', post(`${chunked}\r\n${length}`, short), 'refused'],
  ['TE.CL', post(`Content-Length: 4\r\n${chunked}`, long), 'refused'],
  ['TE.CL, the other order', post(`${chunked}\r\nContent-Length: 4`, long), 'refused'],
  ['TE and a length of zero', post(`Content-Length: 0\r\n${chunked}`, short), 'refused'],
  ['TE and an empty length', post(`Content-Length:\r\n${chunked}`, short), 'refused'],
  ['CL.TE in HTTP/1.0', post(`${length}\r\n${chunked}`, short).replace('1.1', '1.0'), 'refused'],
  ['TE in HTTP/1.0', chunks(long).replace('1.1', '1.0'), 'refused'],
  ['TE nominated by Connection', post(`Connection: Transfer-Encoding\r\n${length}\r\n${chunked}`, short), 'refused'],
]

/** Transfer-Encoding written so that one of two servers does not know it, next to a length. */
const hiddenCodings: readonly Row[] = (
  [
    ['a blank before the colon', 'Transfer-Encoding : chunked', 'refused'],
    ['a tab before the colon', 'Transfer-Encoding\t: chunked', 'refused'],
    ['a vertical tab before the colon', 'Transfer-Encoding\x0b: chunked', 'refused'],
    ['a NUL before the colon', 'Transfer-Encoding\0: chunked', 'refused'],
    ['a NUL before the name', '\0Transfer-Encoding: chunked', 'refused'],
    ['a blank before the name', ' Transfer-Encoding: chunked', 'refused'],
    ['a tab before the name', '\tTransfer-Encoding: chunked', 'refused'],
    ['the colon on a line of its own', 'Transfer-Encoding\r\n: chunked', 'refused'],
    ['a value on a line of its own', 'Transfer-Encoding:\r\n chunked', 'refused'],
    ['a value after a bare LF', 'Transfer-Encoding:\n chunked', 'refused'],
    ['a bare LF before it', 'X: y\nTransfer-Encoding: chunked', 'refused'],
    ['a bare CR before it', 'X: y\rTransfer-Encoding: chunked', 'refused'],
    ['LF CR before it', 'X: y\n\rTransfer-Encoding: chunked', 'refused'],
    ['CR CR LF before it', 'X: y\r\r\nTransfer-Encoding: chunked', 'refused'],
    ['a bare CR at the start of its line', 'X: y\r\n\rTransfer-Encoding: chunked', 'refused'],
    ['a bare LF after it', 'Transfer-Encoding: chunked\nX: y', 'refused'],
    ['a folded line before it', 'X: y\r\n z\r\nTransfer-Encoding: chunked', 'refused'],
    ['an underscore', 'Transfer_Encoding: chunked', 2],
    ['a percent-encoded letter', 'Transfer-%45ncoding: chunked', 2],
    ['another character in the name', 'Transfer;Encoding: chunked', 'refused'],
    ['a bracket after the name', 'Transfer-Encoding]: chunked', 'refused'],
    ['an empty name', ': chunked', 'refused'],
    ['no colon', 'Transfer-Encoding chunked', 'refused'],
    ['a soft hyphen', 'Transfer\xadEncoding: chunked', 'refused'],
    ['no value', 'Transfer-Encoding:', 'refused'],
  ] as const
).map(([what, line, outcome]) => [`TE with ${what}`, post(`${length}\r\n${line}`, short), outcome])

/** Transfer-Encoding with a value that one of two servers takes for chunked. */
const oddCodings: readonly Row[] = (
  [
    'xchunked',
    'chunked-x',
    'chunked, identity',
    'identity, chunked',
    'gzip, chunked',
    'chunked, chunked',
    'identity',
    'chunked,',
    ', chunked',
    '"chunked"',
    "'chunked'",
    'chunked;q=1',
    'chunked;',
    '\x0bchunked',
    'chunked\x0b',
    '\x0cchunked',
    '\0chunked',
    'chunked\0',
    '\xa0chunked',
    'chunked\x85',
    'chun\xe2\x84\xaaed',
    'chunked chunked',
    'chu nked',
  ] as const
).map((value) => [`TE: ${JSON.stringify(value)}`, post(`Transfer-Encoding: ${value}`, long), 'refused'])

const repeatedCodings: readonly Row[] = [
  ['TE twice', post(`${chunked}\r\n${chunked}`, long), 'refused'],
  ['TE twice, identity last', post(`${chunked}\r\nTransfer-Encoding: identity`, long), 'refused'],
  ['TE twice, identity first', post(`Transfer-Encoding: identity\r\n${chunked}`, long), 'refused'],
  ['TE twice, in other letter case', post(`${chunked}\r\ntransfer-encoding: x`, long), 'refused'],
  ['TE without a blank', post('Transfer-Encoding:chunked', long), 2],
  ['TE after a tab', post('Transfer-Encoding:\tchunked', long), 2],
  ['TE before a blank and a tab', post('Transfer-Encoding: chunked \t', long), 'broken off'],
  ['TE in other letter case', post('tRANSFER-eNCODING: CHUNKED', long), 2],
]

/** Content-Length, hidden, repeated or no number. */
const lengths: readonly Row[] = [
  ...(
    [
      ['twice', 'Content-Length: 5\r\nContent-Length: 5'],
      ['twice, not the same', 'Content-Length: 0\r\nContent-Length: 5'],
      ['twice, in other letter case', 'Content-Length: 5\r\ncontent-length: 0'],
      ['as a list', 'Content-Length: 5, 5'],
      ['as a list of two', 'Content-Length: 0, 5'],
      ['with a plus', 'Content-Length: +5'],
      ['with a minus', 'Content-Length: -5'],
      ['in hexadecimal', 'Content-Length: 0x5'],
      ['with a fraction', 'Content-Length: 5.0'],
      ['with an exponent', 'Content-Length: 5e0'],
      ['with an underscore', 'Content-Length: 0_5'],
      ['with a blank inside', 'Content-Length: 0 5'],
      ['with a parameter', 'Content-Length: 5;x'],
      ['in quotes', 'Content-Length: "5"'],
      ['in other digits', 'Content-Length: \xd9\xa5'],
      ['beyond 64 bits', 'Content-Length: 18446744073709551621'],
      ['beyond what is a safe integer', 'Content-Length: 9007199254740993'],
      ['that is empty', 'Content-Length: '],
      ['with a blank before the colon', 'Content-Length : 5'],
      ['with a NUL before the colon', 'Content-Length\0: 5'],
      ['with a NUL after it', 'Content-Length: 5\0'],
      ['on a line of its own', 'Content-Length:\r\n 5'],
      ['that goes on in the next line', 'Content-Length: 0\r\n 5'],
      ['after a bare LF', 'X: y\nContent-Length: 5'],
      ['after a vertical tab', 'Content-Length: \x0b5'],
      ['before a no-break space', 'Content-Length: 5\xa0'],
    ] as const
  ).map(([what, lines]): Row => [`a length ${what}`, post(lines, 'hello'), 'refused']),
  ['a length with zeros in front', post('Content-Length: 005', 'hello'), 2],
  ['a length nominated by Connection', post('Connection: Content-Length\r\nContent-Length: 5', 'hello'), 2],
  ['a length with an underscore in its name', post(`Content_Length: ${hiddenWhole.length}`, hiddenWhole), 3],
  ['a request as a body (CL.0)', post(wholeLength, hiddenWhole), 2],
  ['a request as a body of GET (0.CL)', get('GET /first HTTP/1.1', `Host: a\r\n${wholeLength}`) + hiddenWhole, 2],
  ['a request as a body of HEAD', get('HEAD /first HTTP/1.1', `Host: a\r\n${wholeLength}`) + hiddenWhole, 2],
  ['a request as a body of OPTIONS', get('OPTIONS /first HTTP/1.1', `Host: a\r\n${chunked}`) + long, 2],
]

/** Chunks that end at one place for one server and at another for the next. */
const chunkTricks: readonly Row[] = [
  ['a chunk size with a plus', chunks('+5\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size with a minus', chunks('-5\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size with 0x', chunks('0x5\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size with an underscore', chunks('0_5\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size after a blank', chunks(' 5\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size before a tab', chunks('5\t\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size with letters after it', chunks('5xyz\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['no chunk size', chunks('\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size beyond 64 bits', chunks('10000000000000005\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size that wraps at 32 bits', chunks('100000005\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size before a bare LF', chunks('5\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size before a bare CR', chunks('5\rhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size before CR CR LF', chunks('5\r\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk size before LF CR', chunks('5\n\rhello\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk before a bare LF', chunks('5\r\nhello\n0\r\n\r\n'), 'broken off'],
  ['a chunk before a bare CR', chunks('5\r\nhello\r0\r\n\r\n'), 'broken off'],
  ['a chunk before other characters', chunks('5\r\nhelloXX0\r\n\r\n'), 'broken off'],
  ['a chunk longer than its size', chunks('5\r\nhello world\r\n0\r\n\r\n'), 'broken off'],
  ['a chunk shorter than its size', chunks('20\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['an extension with a bare LF (TERM.EXT)', chunks(`5;\nxx\r\nhello\r\n0\r\n\r\n`), 'broken off'],
  ['an extension with a bare CR', chunks('5;\rxx\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['an extension with a NUL', chunks('5;a=\0\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['an extension with a line end in quotes', chunks('5;a="\r\nhello\r\n0\r\n\r\n'), 'broken off'],
  ['an extension of 17 KB', chunks(`5;${'x'.repeat(17_000)}\r\nhello\r\n0\r\n\r\n`), 'broken off'],
  ['extensions of 17 KB over many chunks', chunks(`${`1;${'x'.repeat(100)}\r\na\r\n`.repeat(170)}0\r\n\r\n`), 2],
  ['an extension', chunks('5;a=b\r\nhello\r\n0;c="d"\r\n\r\n'), 2],
  ['a last chunk with a letter', chunks('5\r\nhello\r\n0x\r\n\r\n'), 'broken off'],
  ['a last chunk before a bare LF', chunks('5\r\nhello\r\n0\n\r\n'), 'broken off'],
  ['a bare LF as the end of trailers', chunks('5\r\nhello\r\n0\r\n\n'), 'broken off'],
  ['LF CR as the end of trailers', chunks('5\r\nhello\r\n0\r\n\n\r'), 'broken off'],
  ['many zeros as a last chunk', chunks('5\r\nhello\r\n00000000\r\n\r\n'), 2],
  ['no end of trailers: the probe is one', chunks('5\r\nhello\r\n0\r\n'), 'broken off'],
  ['framing in trailers', chunks('5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n'), 'broken off'],
  ['coding in trailers', chunks('5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'), 'broken off'],
  ['a folded trailer', chunks('5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n'), 'broken off'],
  ['a request line as a trailer', chunks('5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'), 'broken off'],
  ['a trailer with a bare LF', chunks('5\r\nhello\r\n0\r\nX: y\nGET: z\r\n\r\n'), 'broken off'],
  ['a trailer', chunks('5\r\nhello\r\n0\r\nX-Sum: y\r\n\r\n'), 2],
]

/** Request lines, and heads as a whole. */
const heads: readonly Row[] = [
  ['two blanks in the request line', get('GET  /first HTTP/1.1'), 2],
  ['a blank in the target', get('GET /first second HTTP/1.1'), 'refused'],
  ['a tab in the request line', get('GET\t/first HTTP/1.1'), 'refused'],
  ['a bare LF in the request line', get('GET /first HTTP/1.1\nX: y'), 'refused'],
  ['a bare CR in the request line', get('GET /first HTTP/1.1\rX: y'), 'refused'],
  ['a blank after the version', get('GET /first HTTP/1.1 '), 'refused'],
  ['a version in lower case', get('GET /first http/1.1'), 'refused'],
  ['no version', 'GET /first\r\n\r\n', 'refused'],
  ['version 0.9', get('GET /first HTTP/0.9'), 'refused'],
  ['version 1.2', get('GET /first HTTP/1.2'), 'refused'],
  ['version 01.1', get('GET /first HTTP/01.1'), 'refused'],
  ['version 1.10', get('GET /first HTTP/1.10'), 'refused'],
  ['a method in lower case', get('get /first HTTP/1.1'), 'refused'],
  ['a NUL in the target', get('GET /fir\0st HTTP/1.1'), 'refused'],
  ['a blank before the method', get(' GET /first HTTP/1.1'), 'refused'],
  ['a fragment', get('GET /first#second HTTP/1.1'), 'refused'],
  ['an encoded line end in the target', get('GET /first%0d%0aX:%20y HTTP/1.1'), 2],
  ['an empty line before the request', `\r\n${get('GET /first HTTP/1.1')}`, 2],
  ['a bare LF before the request', `\n${get('GET /first HTTP/1.1')}`, 2],
  ['LF CR before the request', `\n\r${get('GET /first HTTP/1.1')}`, 2],
  ['LF LF as the end of the head', 'GET /first HTTP/1.1\r\nHost: a\n\n', 'refused'],
  ['LF CR LF as the end of the head', 'GET /first HTTP/1.1\r\nHost: a\n\r\n', 'refused'],
  ['CR CR LF as the end of the head', 'GET /first HTTP/1.1\r\nHost: a\r\n\r\r\n', 'refused'],
  ['a blank line of blanks in the head', get('GET /first HTTP/1.1', 'Host: a\r\n \r\nX: y'), 'refused'],
  ['two Hosts', get('GET /first HTTP/1.1', 'Host: a\r\nHost: b'), 'refused'],
  ['two Hosts, one with a blank before the colon', get('GET /first HTTP/1.1', 'Host: a\r\nHost : b'), 'refused'],
  ['a Host with a line end', get('GET /first HTTP/1.1', 'Host: a\r\n b'), 'refused'],
  ['Host nominated by Connection', get('GET /first HTTP/1.1', 'Connection: Host\r\nHost: a'), 2],
  ['the absolute form', get('GET http://b/first HTTP/1.1'), 2],
  ['a field line without a colon', get('GET /first HTTP/1.1', 'Host: a\r\nGET /smuggled HTTP/1.1'), 'refused'],
  ['an 8-bit field name', get('GET /first HTTP/1.1', 'Host: a\r\nX\xe9: y'), 'refused'],
  ['DEL in a field value', get('GET /first HTTP/1.1', 'Host: a\r\nX: y\x7fz'), 'refused'],
  ['an unknown expectation', post('Expect: x\r\nContent-Length: 5', 'hello'), 'refused'],
  ['an expectation with something before it', post('Expect: y 100-continue\r\nContent-Length: 5', 'hello'), 'refused'],
  ['CONNECT with a body', `${get('CONNECT a:80 HTTP/1.1', 'Host: a:80\r\nContent-Length: 5')}hello`, 'refused'],
  ['an upgrade to h2c', get('GET /first HTTP/1.1', `Host: a\r\n${upgrade}h2c`), 1],
  ['an upgrade to h2c with a request as a body', post(`${upgrade}h2c\r\n${wholeLength}`, hiddenWhole), 1],
  ['an upgrade that the backend declines', get('GET /first HTTP/1.1', `Host: a\r\n${upgrade}websocket`), 1],
  [
    'an upgrade with a request as a body',
    get('GET /first HTTP/1.1', `Host: a\r\n${upgrade}websocket\r\n${wholeLength}`) + hiddenWhole,
    1,
  ],
  ['an upgrade that Connection does not name', get('GET /first HTTP/1.1', 'Host: a\r\nUpgrade: websocket'), 1],
]

export const smugglingVariants: readonly SmugglingVariant[] = [
  ...bothFramings,
  ...hiddenCodings,
  ...oddCodings,
  ...repeatedCodings,
  ...lengths,
  ...chunkTricks,
  ...heads,
].map(([name, bytes, outcome]) => ({ name, bytes, outcome }))
