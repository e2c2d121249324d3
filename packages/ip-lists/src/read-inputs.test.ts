import { expect, test } from '@jest/globals'
import { inputsOf } from './input-bodies.fixture.ts'
import type { InputForm } from './input-form.ts'
import { readInputs } from './read-inputs.ts'

const forms: readonly (readonly [string, InputForm, string])[] = [
  ['lines', { kind: 'lines' }, '8.8.8.8\r\nà la carte\n\n 1.1.1.1 \n2001:db8::1\n\ufffd'],
  [
    'csv',
    { kind: 'csv', column: undefined, header: undefined },
    'n;"the\r\nname";ip\r\n1;"a;""b""";8.8.8.8\r\n2;é;"1.1.1.1"\n\n3;;nonsense\r\n4;x;9.9.9.9',
  ],
  ['ndjson', { kind: 'ndjson', column: 'ip' }, '"8.8.8.8"\n{"ip":"1.1.1.1"}\r\n{"ip":7}\nnonsense\n\n"\\u0041é"'],
  [
    'json',
    { kind: 'json', column: 'ip' },
    ' [ "8.8.8.8",{"ip":"1.1.1.1","n":[1,"]"]} , 12.50,\n"a\\"]é😀", null,["x", {"ip":"y"}] ] \n',
  ],
]

const expected: Readonly<Record<string, readonly string[]>> = {
  lines: ['8.8.8.8', 'à la carte', '', ' 1.1.1.1 ', '2001:db8::1', '\ufffd'],
  csv: ['8.8.8.8', '1.1.1.1', '', 'nonsense', '9.9.9.9'],
  ndjson: ['8.8.8.8', '1.1.1.1', '{"ip":7}', 'nonsense', '', 'Aé'],
  json: ['8.8.8.8', '1.1.1.1', '12.50', 'a"]é😀', 'null', '["x", {"ip":"y"}]'],
}

test.each(forms)('%s: however the bytes are cut, the inputs are the same', async (name, form, body) => {
  const bytes = Buffer.from(body)
  for (let size = 1; size <= bytes.length; size += 1) {
    expect(await inputsOf(bytes, form, { size })).toEqual(expected[name])
  }
})

test.each(forms)('%s: a byte order mark at the beginning is no part of an input', async (name, form, body) => {
  expect(await inputsOf(`\ufeff${body}`, form, { size: 2 })).toEqual(expected[name])
})

test.each(forms)('%s: more inputs than may be is too much, as many are not', async (name, form, body) => {
  const count = expected[name]?.length ?? 0
  expect(await inputsOf(body, form, { maxLines: count })).toHaveLength(count)
  await expect(inputsOf(body, form, { maxLines: count - 1 })).rejects.toMatchObject({
    status: 413,
    message: `The body holds more than ${count - 1} addresses (BULK_MAX_LINES); send it in parts`,
  })
})

test.each([
  ...forms.map(([name, form]) => [name, form, ''] as const),
  ['json', { kind: 'json', column: 'ip' }, ' [ ] '],
] as const)('%s: a body without any input is a bad request (%#)', async (_name, form, body) => {
  await expect(inputsOf(body, form)).rejects.toMatchObject({ status: 400, message: 'The body holds no addresses' })
})

test.each([
  ['["8.8.8.8", {"ip":"1.1.1.1"}]', ['8.8.8.8', '1.1.1.1']],
  ['\ufeff\n [ {"ip":"8.8.8.8"}\n]', ['8.8.8.8']],
  ['{"ip":"8.8.8.8"}\n{"ip":"1.1.1.1"}\n', ['8.8.8.8', '1.1.1.1']],
  ['[2001:db8::1]:443\n8.8.8.8', ['[2001:db8::1]:443', '8.8.8.8']],
])('JSON without its type is read all the same, unless lines are asked for: %j', async (body, inputs) => {
  for (const size of [1, body.length * 2]) expect(await inputsOf(body, { kind: 'lines' }, { size })).toEqual(inputs)
  const lines = await inputsOf(body, { kind: 'lines', isAsked: true })
  expect(lines).toEqual(
    body
      .replace(/^\ufeff/, '')
      .replace(/\n$/, '')
      .split('\n'),
  )
})

test.each(['\ufeff', ''])(
  'UTF-16 is read in either order of bytes, with a byte order mark or without: %j',
  async (mark) => {
    const little = Buffer.from(`${mark}8.8.8.8\n1.1.1.1\n`, 'utf16le')
    for (const bytes of [little, Buffer.from(little).swap16()]) {
      expect(await inputsOf(bytes, { kind: 'lines' })).toEqual(['8.8.8.8', '1.1.1.1'])
    }
  },
)

test.each([
  ['a workbook or archive', Buffer.from('PK\u0003\u0004\u0014\0x\n8.8.8.8\n')],
  ['Parquet', Buffer.from('PAR1\u0015\u0004')],
  ['UTF-16 that does not show itself', Buffer.from('имя,ip\nя,8.8.8.8\n', 'utf16le')],
  ['tar', Buffer.concat([Buffer.from('list.csv'), Buffer.alloc(504), Buffer.from('8.8.8.8\n')])],
])('%s is no text, whatever it is said to be', async (_, bytes) => {
  for (const [, form] of forms) {
    await expect(inputsOf(bytes, form, { size: 3 })).rejects.toMatchObject({
      status: 415,
      message: expect.stringMatching(/no text in UTF-8.*ipfleet bulk FILE/),
    })
  }
})

test('nothing is read ahead of who reads the inputs', async () => {
  let sent = 0
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      sent += 1
      yield Buffer.from('8.8.8.8\n'.repeat(1000))
    }
  }
  for await (const inputs of readInputs(endless(), { kind: 'lines' }, { maxLines: 1e6 })) {
    expect(inputs).toHaveLength(1000)
    break
  }
  expect(sent).toBe(1)
})

/** A hundred million bytes without a line end, none of which may be held. */
async function* hugeLine(beginning: string, filling: string, onPiece: (bytes: number) => void): AsyncGenerator<Buffer> {
  yield Buffer.from(beginning)
  const piece = Buffer.from(filling.repeat(65_536 / filling.length))
  for (let sent = piece.length; sent < 1e8; sent += piece.length) {
    onPiece(sent)
    yield piece
  }
}

test.each([
  ['lines', { kind: 'lines' }, '8.8.8.8\n', 'x', 'Line 2 is over 65536 bytes'],
  ['ndjson', { kind: 'ndjson', column: 'ip' }, '{"ip":"', 'x', 'Line 1 is over 65536 bytes'],
  ['csv, a field', { kind: 'csv', column: undefined, header: undefined }, 'ip,x\n8.8.8.8,', 'x', 'Row 2 of the CSV'],
  [
    'csv, a quote',
    { kind: 'csv', column: undefined, header: undefined },
    'ip\n"',
    'x\n',
    'perhaps a quote is not closed',
  ],
  ['csv, commas', { kind: 'csv', column: undefined, header: undefined }, 'ip\n', ',', 'Row 2 of the CSV'],
  ['csv, quotes', { kind: 'csv', column: undefined, header: undefined }, 'ip\n', '"",', 'Row 2 of the CSV'],
  ['json, a string', { kind: 'json', column: 'ip' }, '["8.8.8.8","', 'x', 'Element 2 of the array is over 65536 bytes'],
  ['json, an object', { kind: 'json', column: 'ip' }, '[{"a":', ' ', 'Element 1 of the array is over 65536 bytes'],
  ['json, a number', { kind: 'json', column: 'ip' }, '[', '1', 'Element 1 of the array is over 65536 bytes'],
] as const)(
  '%s: one line of 100 MB is refused as soon as it is too long',
  async (_what, form, beginning, filling, message) => {
    let taken = 0
    const body = hugeLine(beginning, filling, (bytes) => (taken = bytes))
    await expect(inputsOf(body, form)).rejects.toMatchObject({
      status: 413,
      message: expect.stringContaining(message),
    })
    expect(taken).toBeLessThan(1_000_000)
  },
)
