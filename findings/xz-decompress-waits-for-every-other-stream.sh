#!/usr/bin/env bash
# A stream of npm's xz-decompress that is not read to its end holds up all others of the process, silently and for ever.
#
# xz-decompress 0.2.3 (npm). From its first read to its end one stream has the decoder to itself, and others wait for it:
# their reads neither fail nor return. Reading the first lines of two files in turn, as a comparison or a merge does, stops
# at the second file. A reader that has its first piece and is let go without cancel() holds the decoder for good, also when
# it has been collected as garbage (a loop by for await that is left does cancel). The README does not tell; nothing is
# logged. Node's own DecompressionStream reads any number of streams in turn.
# Why it matters: whoever looks into a file for its first line, to see what it is, stops every later file.
# Instead: cancel() each stream that is not read to its end, and read the files one behind the other; or pipe through xz -dc.
#
# Needs: node (20 or newer) with npm, xz and gzip.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . xz-decompress@0.2.3
for name in a b; do
  seq 400000 >"$name"
  xz -k "$name"
  gzip -k "$name"
done

cat >finding.mjs <<'EOF'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import xz from 'xz-decompress'

const packed = (name) => Readable.toWeb(createReadStream(name))
const streams = {
  'gzip, DecompressionStream': (name) => packed(`${name}.gz`).pipeThrough(new DecompressionStream('gzip')),
  'xz, XzReadableStream': (name) => new xz.XzReadableStream(packed(`${name}.xz`)),
}
const firstOf = (reader) =>
  Promise.race([reader.read().then(({ value }) => `${value.length > 0 ? 'data' : 'nothing'}`), wait(5000, 'no reply in 5 s')])

console.log('xz-decompress 0.2.3')
console.log('expected: the first piece of a, then that of b')
const seen = []
for (const [name, open] of Object.entries(streams)) {
  const [a, b] = [open('a').getReader(), open('b').getReader()]
  const first = [await firstOf(a), await firstOf(b)]
  await a.cancel()
  first.push(await firstOf(b))
  console.log(`seen:     ${name}: a: ${first[0]}; b: ${first[1]}; b after a.cancel(): ${first[2]}`)
  seen.push(first.join())
}
const isSame = seen.join(' / ') === 'data,data,data / data,no reply in 5 s,data'
console.log(isSame ? 'as recorded' : 'CHANGED')
process.exit(isSame ? 0 : 1)
EOF
node finding.mjs
