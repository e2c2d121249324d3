#!/usr/bin/env bash
# The RateLimit field that express-rate-limit sends is NaN to the parser of the same makers.
#
# express-rate-limit 8.7.5 and ratelimit-header-parser 0.1.0 (npm, both of the express-rate-limit organisation). The
# header draft changed its form from version 7 (limit=5, remaining=4, reset=60) to version 8 ("5-in-1min"; r=4; t=60),
# under the same field name. The parser's README promises undefined when it finds no rate limit. For the form of draft 8
# it returns an object of NaN and an Invalid Date instead.
# Why it matters: every comparison with NaN is false. "if (limit.remaining < 1) wait()" never waits, and a pool that picks
# the key with the most remaining units picks any. Nothing fails before the 429s come.
# Instead: parse RateLimit as a structured field (RFC 9651): a List of strings with parameters r and t is draft 8 or
# later, a Dictionary is draft 7. Check for whole numbers before use.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  express@5.3.0 express-rate-limit@8.7.5 ratelimit-header-parser@0.1.0

cat >finding.mjs <<'EOF'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import { parseRateLimit } from 'ratelimit-header-parser'

async function answerWith(draft) {
  const app = express()
  app.use(rateLimit({ windowMs: 60_000, limit: 5, standardHeaders: draft, legacyHeaders: false }))
  app.get('/', (_, response) => response.end('ok'))
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`)
  await answer.text()
  server.close()
  return answer
}

console.log('express-rate-limit 8.7.5, ratelimit-header-parser 0.1.0')
console.log('expected: { limit: 5, remaining: 4 } for both drafts, or undefined')
const read = {}
for (const draft of ['draft-7', 'draft-8']) {
  const answer = await answerWith(draft)
  read[draft] = parseRateLimit(answer)
  console.log(`seen:     ${draft} RateLimit: ${answer.headers.get('ratelimit')} is read as`, read[draft])
}
const same = read['draft-7'].remaining === 4 && Number.isNaN(read['draft-8']?.remaining) && Number.isNaN(Number(read['draft-8'].reset))
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
