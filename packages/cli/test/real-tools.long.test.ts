import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CommandGround } from '@ipfleet/testing/command-ground.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { runHere } from './run-here.ts'

/** Files that real tools write are read with all that they hold, and real tools read what is written. */

interface Tool {
  readonly name: string
  readonly isThere: boolean
  /** A shell's words for lines of the tool's own language. */
  readonly words: (lines: readonly string[]) => string
}

const runs = (command: string, ...args: readonly string[]): boolean => spawnSync(command, args).status === 0
const pythonTool = (name: string, ...needs: readonly string[]): Tool => ({
  name,
  isThere: runs('python3', '-c', `import ${[name, ...needs].join(', ')}`),
  words: (lines) => `python3 -c '${[`import json, ${name}`, ...lines].join('\n').replaceAll("'", String.raw`'\''`)}'`,
})
const program = (name: string, ...check: readonly string[]): Tool => ({
  name,
  isThere: runs(name, ...check),
  words: (lines) => lines.join(' && '),
})

const pandas = pythonTool('pandas', 'pyarrow')
const duckdb = pythonTool('duckdb')
const polars = pythonTool('polars')
const miller = program('mlr', '--version')
const jq = program('jq', '--version')
const sqlite = program('sqlite3', '--version')
const packers = ['gzip', 'bzip2', 'xz', 'zstd', 'zip'].map((name) => program(name, '--help'))
for (const { name } of [pandas, duckdb, polars, miller, jq, sqlite, ...packers].filter(({ isThere }) => !isThere)) {
  process.stdout.write(`files of ${name} are not tried: it is not there\n`)
}

const table = [
  { ip: '8.8.8.8', n: '5', zip: '02139', city: 'São, "P"' },
  { ip: '2620:fe::fe', n: '7', zip: 'NA', city: 'Zürich; a|b' },
]
const cell = (text: string): string => (/[,"|;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
const csv = ['ip,n,zip,city', ...table.map((row) => Object.values(row).map(cell).join(',')), ''].join('\n')

const given = new Map([
  [pandas, 'f = pandas.read_csv("given.csv", dtype={"zip": str}, keep_default_na=False)'],
  [duckdb, `duckdb.sql("CREATE VIEW f AS FROM read_csv('given.csv', types={'zip': 'VARCHAR'})")`],
  [polars, 'f = polars.read_csv("given.csv", schema_overrides={"zip": polars.String})'],
])

const files: readonly (readonly [file: string, tool: Tool, line: string])[] = [
  ...[
    ['plain.csv', 'f.to_csv("plain.csv", index=False)'],
    ['indexed.csv', 'f.to_csv("indexed.csv")'],
    ['german.csv', 'f.to_csv("german.csv", sep=";", decimal=",", encoding="cp1252", index=False)'],
    ['marked.csv', 'f.to_csv("marked.csv", encoding="utf-8-sig", index=False)'],
    ['utf16.tsv', 'f.to_csv("utf16.tsv", sep="\\t", encoding="utf-16", index=False)'],
    ['utf16le.csv', 'f.to_csv("utf16le.csv", encoding="utf-16-le", index=False)'],
    ['quoted.csv', 'f.to_csv("quoted.csv", quoting=1, lineterminator="\\r\\n", index=False)'],
    ['mac.csv', 'f.to_csv("mac.csv", lineterminator="\\r", index=False)'],
    ['p.csv.gz', 'f.to_csv("p.csv.gz", index=False)'],
    ['p.csv.bz2', 'f.to_csv("p.csv.bz2", index=False)'],
    ['p.csv.xz', 'f.to_csv("p.csv.xz", index=False)'],
    ['p.csv.zip', 'f.to_csv("p.csv.zip", index=False)'],
    ['columns.json', 'f.to_json("columns.json")'],
    ['index.json', 'f.to_json("index.json", orient="index", indent=2)'],
    ['split.json', 'f.to_json("split.json", orient="split")'],
    ['table.json', 'f.to_json("table.json", orient="table")'],
    ['records.json', 'f.to_json("records.json", orient="records", force_ascii=False)'],
    ['lines.json', 'f.to_json("lines.json", orient="records", lines=True)'],
    ['snappy.parquet', 'f.to_parquet("snappy.parquet")'],
    ['gzip.parquet', 'f.to_parquet("gzip.parquet", compression="gzip")'],
    ['brotli.parquet', 'f.to_parquet("brotli.parquet", compression="brotli")'],
  ].map(([file = '', line = '']) => [`pandas-${file}`, pandas, line.replaceAll(file, `pandas-${file}`)] as const),
  ...[
    ['d.csv', ''],
    ['d.psv', " (DELIMITER '|')"],
    ['d.tsv', " (FORMAT csv, DELIMITER '\\t')"],
    ['d.csv.gz', ''],
    ['d.json', ''],
    ['array.json', ' (ARRAY true)'],
    ['d.parquet', ''],
    ['zstd.parquet', ' (COMPRESSION zstd, ROW_GROUP_SIZE 1)'],
  ].map(
    ([file = '', how = '']) => [`duckdb-${file}`, duckdb, `duckdb.sql("COPY f TO 'duckdb-${file}'${how}")`] as const,
  ),
  ...['csv', 'ndjson', 'json', 'parquet'].map(
    (form) => [`polars.${form}`, polars, `f.write_${form}("polars.${form}")`] as const,
  ),
  ...(
    [
      ['mlr.json', '--icsv --ojson -S'],
      ['mlr.jsonl', '--icsv --ojsonl -S'],
      ['mlr.tsv', '--icsv --otsv -S'],
      ['mlr.csv', '--icsv --ocsv --quote-all'],
    ] as const
  ).map(([file, how]) => [file, miller, `mlr ${how} cat given.csv >${file}`] as const),
  ['jq.json', jq, 'jq . given.ndjson >jq.json'],
  ['jq-slurped.json', jq, 'jq -s "{total: length, data: .}" given.ndjson >jq-slurped.json'],
  [
    'sqlite.csv',
    sqlite,
    'sqlite3 :memory: ".import --csv given.csv t" ".headers on" ".mode csv" "SELECT * FROM t" >sqlite.csv',
  ],
  ['sqlite.json', sqlite, 'sqlite3 :memory: ".import --csv given.csv t" ".mode json" "SELECT * FROM t" >sqlite.json'],
  ...packers.map((tool) => {
    const ending = { gzip: 'gz', bzip2: 'bz2', zstd: 'zst' }[tool.name] ?? tool.name
    const line = tool.name === 'zip' ? 'zip -q x.csv.zip given.csv' : `${tool.name} -c given.csv >x.csv.${ending}`
    return [`x.csv.${ending}`, tool, line] as const
  }),
]

let folder: CommandGround
let replica: ServiceProcess
beforeAll(async () => {
  folder = await CommandGround.start()
  replica = await startReplica()
  mkdirSync(folder.path('.'), { recursive: true })
  writeFileSync(folder.path('given.csv'), csv)
  writeFileSync(folder.path('given.ndjson'), table.map((row) => `${JSON.stringify(row)}\n`).join(''))
  for (const [tool, lines] of Map.groupBy(files, ([, writer]) => writer)) {
    if (tool.isThere) shell(tool.words([given.get(tool) ?? [], ...lines.map(([, , line]) => line)].flat()))
  }
  for (const output of ['out.csv', 'out.tsv', 'out.parquet', 'out.json', 'out.ndjson'])
    await bulk('given.csv', '-o', output)
})
afterAll(async () => {
  await replica.stop()
  await folder[Symbol.asyncDispose]()
})

const bulk = (...args: readonly string[]) =>
  runHere(['bulk', ...args, '--fields', 'country', '--url', replica.url], { folder: folder.path('.') })

function shell(line: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { cwd: folder.path('.'), encoding: 'utf8' })
  if (status !== 0) throw new Error(`${line}: ${stderr}`)
  return stdout
}

describe('is read with what it holds:', () => {
  test.each(files.filter(([, { isThere }]) => isThere))('%s', async (file) => {
    const { code, stdout, stderr } = await bulk(file, '--format', 'ndjson')
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('Wrong ip')])
    const rows = stdout.trimEnd().split('\n')
    expect(rows.map((row) => JSON.parse(row) as object)).toEqual(
      table.map(({ n: _n, ...row }) => expect.objectContaining({ ...row, input: row.ip, country: 'US' })),
    )
    expect(rows.map((row) => String((JSON.parse(row) as { n: unknown }).n))).toEqual(table.map(({ n }) => n))
  })
})

const expected = table.map(({ ip, zip, city }) => [ip, zip, city, 'US'])
const readers: readonly (readonly [output: string, tool: Tool, line: string])[] = [
  [
    'out.csv',
    pandas,
    'print(pandas.read_csv("out.csv", dtype=str, keep_default_na=False)[["ip","zip","city","country"]].to_json(orient="values"))',
  ],
  [
    'out.parquet',
    pandas,
    'print(pandas.read_parquet("out.parquet")[["ip","zip","city","country"]].to_json(orient="values"))',
  ],
  [
    'out.ndjson',
    pandas,
    'print(pandas.read_json("out.ndjson", lines=True, dtype=False)[["ip","zip","city","country"]].to_json(orient="values"))',
  ],
  ...(
    [
      ['out.csv', "read_csv('out.csv', all_varchar=true)"],
      ['out.tsv', "read_csv('out.tsv', all_varchar=true)"],
      ['out.parquet', "'out.parquet'"],
      ['out.json', "read_json('out.json')"],
    ] as const
  ).map(
    ([output, from]) =>
      [
        output,
        duckdb,
        `print(json.dumps(duckdb.sql("SELECT ip, zip, city, country FROM ${from}").fetchall()))`,
      ] as const,
  ),
  [
    'out.csv',
    polars,
    'print(json.dumps(polars.read_csv("out.csv", infer_schema_length=0).select("ip","zip","city","country").rows()))',
  ],
  ['out.csv', miller, `mlr --icsv --ojson -S cut -o -f ip,zip,city,country out.csv | jq -c 'map([.[]])'`],
  ['out.ndjson', jq, `jq -s -c 'map([.ip, .zip, .city, .country])' out.ndjson`],
]

describe('reads what is written:', () => {
  test.each(
    readers
      .filter(([, { isThere }]) => isThere && jq.isThere)
      .map(([output, tool, line]) => [tool.name, output, tool, line] as const),
  )('%s, %s', (_, _output, tool, line) => {
    expect(JSON.parse(shell(tool.words([line])))).toEqual(expected)
  })
})
