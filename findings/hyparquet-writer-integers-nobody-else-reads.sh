#!/usr/bin/env bash
# hyparquet-writer writes integers of a logical type so that DuckDB and Arrow cannot open the file.
#
# hyparquet-writer 0.17.0 (npm). Its schema elements take every logical type of Parquet. The bitWidth of INTEGER is an i8
# in the format (parquet.thrift, IntType); the writer encodes it as an i32, with a zigzag varint. Readers that follow the
# types lose their place in the footer: "TProtocolException: Invalid data". hyparquet itself reads the file.
# Why it matters: a schema taken over from a file of pandas or Arrow, which annotate int8 to uint64 so, gives a file that
# seems written well, and opens nowhere.
# Instead: say converted_type (INT_8, UINT_64), which means the same, and leave logical_type out.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . hyparquet@1.31.5 hyparquet-writer@0.17.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1

cat >finding.mjs <<'EOF'
import { readFileSync, writeFileSync } from 'node:fs'
import { parquetReadObjects } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
const kinds = {
  logical: { logical_type: { type: 'INTEGER', bitWidth: 8, isSigned: true } },
  converted: { converted_type: 'INT_8' },
}
for (const [name, kind] of Object.entries(kinds)) {
  const bytes = new ByteWriter()
  const schema = [{ name: 'schema', num_children: 1 }, { name: 'n', type: 'INT32', repetition_type: 'OPTIONAL', ...kind }]
  const writer = new ParquetWriter({ writer: bytes, schema })
  await writer.write({ columnData: [{ name: 'n', data: [1, 2] }] })
  await writer.finish()
  writeFileSync(`${name}.parquet`, new Uint8Array(bytes.getBuffer()))
  const file = new Uint8Array(readFileSync(`${name}.parquet`)).buffer
  console.log(name, 'by hyparquet:', JSON.stringify(await parquetReadObjects({ file })))
}
EOF
cat >finding.py <<'EOF'
import duckdb, pyarrow.parquet
for name in ('logical', 'converted'):
    for reader, read in (('pyarrow', lambda file: pyarrow.parquet.read_table(file)['n'].to_pylist()),
                         ('DuckDB', lambda file: duckdb.sql(f"from '{file}'").fetchall())):
        try:
            print(name, f'by {reader}:', read(f'{name}.parquet'))
        except Exception as error:
            print(name, f'by {reader}:', 'Invalid data' if 'Invalid data' in str(error) else error)
EOF
seen="$(node finding.mjs)
$(venv/bin/python finding.py)"
expected='logical by hyparquet: [{"n":1},{"n":2}]
converted by hyparquet: [{"n":1},{"n":2}]
logical by pyarrow: Invalid data
logical by DuckDB: Invalid data
converted by pyarrow: [1, 2]
converted by DuckDB: [(1,), (2,)]'
echo "hyparquet-writer 0.17.0, hyparquet 1.31.5, pyarrow 26.0.1, DuckDB 2.0.1"
echo "expected: every file is read by every reader"
echo "seen:     ${seen//$'\n'/$'\n'          }"
if [[ $seen == "$expected" ]]; then
  echo "as recorded"
else
  echo "CHANGED"
  exit 1
fi
