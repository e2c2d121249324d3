import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { type TemporaryFolder, temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { ParquetFile } from './parquet-file.ts'

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder('parquet-file')
})
afterAll(() => folder.remove())

/** @param toldRows what the file tells of its first row group; undefined: the truth */
async function fileWith(rows: number, toldRows?: bigint): Promise<string> {
  const bytes = new ByteWriter()
  const schema = [
    { name: 'schema', num_children: 1 },
    { name: 'n', type: 'INT32' as const, repetition_type: 'OPTIONAL' as const },
  ]
  const writer = new ParquetWriter({ writer: bytes, schema })
  const data = Array.from({ length: rows }, (_, at) => at)
  await writer.write({ columnData: [{ name: 'n', data }], rowGroupSize: 45_000 })
  const [group] = writer.row_groups
  if (group && toldRows !== undefined) group.num_rows = toldRows
  await writer.finish()
  const path = join(folder.path, 'x.parquet')
  await writeFile(path, new Uint8Array(bytes.getBuffer()))
  return path
}

test('rows come in parts of row groups, each once and in their order', async () => {
  const file = await ParquetFile.open(await fileWith(95_000), 'x.parquet')
  const sizes: number[] = []
  const read: unknown[] = []
  for await (const rows of file.rows()) {
    sizes.push(rows.length)
    read.push(...rows.map(({ n }) => n))
  }
  expect(Math.max(...sizes)).toBe(20_000)
  expect(read).toEqual(Array.from({ length: 95_000 }, (_, at) => at))
  expect(file.bytesRead).toBeGreaterThan(95_000)
})

test('a row group that is too large to be read is refused, with how to write it again', async () => {
  await expect(ParquetFile.open(await fileWith(1, 5_000_000n), 'x.parquet')).rejects.toThrow(
    /x\.parquet has a row group of 5000000 rows.*ROW_GROUP_SIZE/,
  )
})
