import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import { type TemporaryFolder, temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { ParquetFile } from './parquet-file.ts'
import { parquetWriter } from './parquet-writer.ts'

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

const timeIn = (unit: 'MILLIS' | 'MICROS' | 'NANOS') => ({ type: 'TIME', isAdjustedToUTC: false, unit }) as const

test('times of day are texts with all digits, and are stored as they were', async () => {
  const columns = [
    { name: 'old', type: 'INT32', converted_type: 'TIME_MILLIS', data: [1, null, 86_399_999, 86_400_000] },
    { name: 'millis', type: 'INT32', logical_type: timeIn('MILLIS'), data: [1, null, 86_399_999, 86_400_000] },
    {
      name: 'micros',
      type: 'INT64',
      logical_type: timeIn('MICROS'),
      data: [1n, null, 86_399_999_999n, 86_400_000_000n],
    },
    {
      name: 'nanos',
      type: 'INT64',
      logical_type: timeIn('NANOS'),
      data: [1n, null, 86_399_999_999_999n, 86_400_000_000_000n],
    },
  ] as const
  const [file, rows] = await readBack(await fileOf(columns))
  expect(rows).toEqual([
    { old: '00:00:00.001', millis: '00:00:00.001', micros: '00:00:00.000001', nanos: '00:00:00.000000001' },
    { old: null, millis: null, micros: null, nanos: null },
    { old: '23:59:59.999', millis: '23:59:59.999', micros: '23:59:59.999999', nanos: '23:59:59.999999999' },
    // The end of a day in DuckDB and PostgreSQL.
    { old: '24:00:00.000', millis: '24:00:00.000', micros: '24:00:00.000000', nanos: '24:00:00.000000000' },
  ])
  const again = await parquetWriter(file.columns, file.types)
  const [same, sameRows] = await readBack(Buffer.concat([Buffer.from(again.rows(rows, true)), Buffer.from(again.tail)]))
  expect(sameRows).toEqual(rows)
  expect([...same.types.values()].map(({ type }) => type)).toEqual(['INT32', 'INT32', 'INT64', 'INT64'])
})

test('integers of few bits, as pandas writes them, are stored so that other readers read the file', async () => {
  const integers = [
    { name: 'small', type: 'INT32', logical_type: { type: 'INTEGER', bitWidth: 8, isSigned: true }, data: [-1, null] },
    {
      name: 'large',
      type: 'INT64',
      logical_type: { type: 'INTEGER', bitWidth: 64, isSigned: false },
      data: [1n, null],
    },
  ] as const
  const [file, rows] = await readBack(await fileOf(integers))
  const again = await parquetWriter(file.columns, file.types)
  const [same, sameRows] = await readBack(Buffer.concat([Buffer.from(again.rows(rows, true)), Buffer.from(again.tail)]))
  expect(sameRows).toEqual(rows)
  expect([...same.types.values()].map(({ converted_type, logical_type }) => [converted_type, logical_type])).toEqual([
    ['INT_8', undefined],
    ['UINT_64', undefined],
  ])
})

type ColumnOfFile = Omit<SchemaElement, 'repetition_type'> & { readonly data: readonly unknown[] }

async function fileOf(columns: readonly ColumnOfFile[]): Promise<Uint8Array> {
  const elements = columns.map(({ data: _data, ...element }): SchemaElement => ({
    ...element,
    repetition_type: 'OPTIONAL',
  }))
  const bytes = new ByteWriter()
  const schema = [{ name: 'schema', num_children: columns.length }, ...elements]
  const writer = new ParquetWriter({ writer: bytes, schema })
  await writer.write({ columnData: columns.map(({ name, data }) => ({ name, data: [...data] })) })
  await writer.finish()
  return new Uint8Array(bytes.getBuffer())
}

async function readBack(content: Uint8Array) {
  const path = join(folder.path, 'times.parquet')
  await writeFile(path, content)
  const file = await ParquetFile.open(path, 'times.parquet')
  return [file, (await Array.fromAsync(file.rows())).flat()] as const
}
