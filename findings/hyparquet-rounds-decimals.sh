#!/usr/bin/env bash
# hyparquet makes doubles of decimals: digits behind the 15th or 16th are others, and nothing tells.
#
# hyparquet 1.31.5 (npm). A DECIMAL of Parquet has up to 38 digits, and its makers write it so that amounts stay exact.
# hyparquet multiplies the stored integer by 10^-scale as a double, also where it reads INT64 columns without a type as
# bigint. DuckDB, which wrote the file, and pyarrow give all digits.
# Why it matters: sums of money and long identifiers are wrong in the last digits, and beyond 21 digits they are written
# with an exponent.
# Instead: take converted_type and logical_type of such columns out of the metadata, and place the point in the integers
# that come then.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . hyparquet@1.31.5
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1

cat >finding.py <<'EOF'
import duckdb, pyarrow.parquet
duckdb.sql("""copy (select 12345678901234567.89::decimal(19,2) amount, 1234567890123456789012.34::decimal(38,2) wide,
  1234567890123456.7::decimal(18,1) long) to 'decimals.parquet'""")
print(*pyarrow.parquet.read_table('decimals.parquet').to_pylist()[0].values())
EOF
cat >finding.mjs <<'EOF'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
const [row] = await parquetReadObjects({ file: await asyncBufferFromFile('decimals.parquet') })
console.log(...Object.values(row).map(String))
EOF
pyarrow_sees=$(venv/bin/python finding.py)
hyparquet_sees=$(node finding.mjs)
echo "hyparquet 1.31.5 (and pyarrow 26.0.1 of PyPI for comparison), on a file of DuckDB 2.0.1"
echo "expected: 12345678901234567.89 1234567890123456789012.34 1234567890123456.7"
echo "seen:     by hyparquet: $hyparquet_sees"
echo "          by pyarrow:   $pyarrow_sees"
if [[ $hyparquet_sees == "12345678901234568 1.2345678901234568e+21 1234567890123456.8" &&
  $pyarrow_sees == "12345678901234567.89 1234567890123456789012.34 1234567890123456.7" ]]; then
  echo "as recorded"
else
  echo "CHANGED"
  exit 1
fi
