import { expect, test } from '@jest/globals'
import { inputsOf } from './input-bodies.fixture.ts'

const form = { kind: 'lines' } as const

test('only the end of the last line makes no input', async () => {
  expect(await inputsOf('a\nb\n', form)).toEqual(['a', 'b'])
  expect(await inputsOf('a\n\nb\n\n', form)).toEqual(['a', '', 'b', ''])
  expect(await inputsOf('\n', form)).toEqual([''])
  expect(await inputsOf('a\r', form)).toEqual(['a'])
})

test('what is not UTF-8 makes one bad line and leaves the next alone', async () => {
  const body = Buffer.concat([Buffer.from([0xe2, 0x82]), Buffer.from('\n8.8.8.8\n')])
  for (const size of [1, 2, 3, body.length]) {
    expect(await inputsOf(body, form, { size })).toEqual(['\ufffd', '8.8.8.8'])
  }
})

test('a line may be 65536 bytes long and no longer, however it comes', async () => {
  const longest = 'x'.repeat(65_536)
  for (const size of [1000, 65_536, 65_537, 200_000]) {
    expect(await inputsOf(`a\n${longest}\nb`, form, { size })).toEqual(['a', longest, 'b'])
    await expect(inputsOf(`a\n${longest}x\nb`, form, { size })).rejects.toMatchObject({
      status: 413,
      message: 'Line 2 is over 65536 bytes',
    })
  }
})

test('lines keep their order and number over many pieces', async () => {
  const lines = Array.from({ length: 50_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
  expect(await inputsOf(lines.join('\n'), form, { size: 70_001 })).toEqual(lines)
})
