#!/usr/bin/env bash
# A client that waits exactly as long as koa-ratelimit tells it is refused again.
#
# koa-ratelimit 6.0.0 (npm). The end of the window is cut to whole seconds, and the time until then is cut again for
# Retry-After: the field is about a second short, and "0" for the whole last second of a window. RFC 9110, section 10.2.3:
# Retry-After is how long the client ought to wait before a follow-up request.
# Why it matters: a fleet that benches a key by this field wakes it too early each time. The second refusal counts as a
# repeated offence where benches double, and "Retry-After: 0" makes obedient clients retry in a loop.
# Instead: round up when sending; when reading, add a second, and never take 0 for "at once" after a 429.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . koa@3.3.0 koa-ratelimit@6.0.0

cat >finding.mjs <<'EOF'
import { setTimeout as wait } from 'node:timers/promises'
import Koa from 'koa'
import rateLimit from 'koa-ratelimit'

const app = new Koa()
app.use(rateLimit({ driver: 'memory', db: new Map(), duration: 4000, max: 1, id: (context) => context.get('client') }))
app.use((context) => {
  context.body = 'ok'
})
const server = app.listen(0, '127.0.0.1')
await new Promise((resolve) => server.once('listening', resolve))
const ask = (client) => fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { client } })

async function patientClient(client) {
  await ask(client)
  const waits = []
  for (;;) {
    const answer = await ask(client)
    await answer.text()
    if (answer.status === 200) return waits
    if (waits.length === 5) return waits
    const seconds = Number(answer.headers.get('retry-after'))
    waits.push(seconds)
    await wait(seconds * 1000)
  }
}

const clients = []
for (let i = 0; i < 8; i++) {
  clients.push(patientClient(`client-${i}`))
  await wait(125)
}
const waits = await Promise.all(clients)
server.close()
console.log('koa-ratelimit 6.0.0')
console.log('expected: each client is refused once, waits as long as Retry-After says, and is served')
console.log('seen:     Retry-After of one refusal after another, for eight clients:', JSON.stringify(waits))
const same = waits.every((refusals) => refusals.length > 1)
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
