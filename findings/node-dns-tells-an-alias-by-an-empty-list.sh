#!/usr/bin/env bash
# dns.resolve6() of Node resolves with an empty list for an alias without IPv6 addresses, where it rejects for a plain name.
#
# Node.js 20 and 26 (c-ares 1.34). An answer without the records that were asked for is NODATA (RFC 2308, section 2.2),
# whether or not a CNAME leads to it. Node rejects with ENODATA if there is no CNAME, and resolves with [] if there is one; so do
# resolve4 and resolve. dnspython 2.8.0 raises NoAnswer for both.
# Why it matters: most names of CDNs are aliases, and many have IPv4 only. Code that asks for A and AAAA and goes on
# with the first that succeeds (Promise.any) goes on with no address at all whenever AAAA is answered first.
# Instead: take an empty list for ENODATA.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . dns-packet@5.6.1
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check dnspython==2.8.0

cat >finding.mjs <<'EOF'
import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { promisify } from 'node:util'
import packet from 'dns-packet'

// A name server for plain.test, which has an IPv4 address, and alias.test, which is an alias of it.
const server = createSocket('udp4').bind(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${port}`])
  for (const name of ['plain.test', 'alias.test']) {
    const seen = await resolver.resolve6(name).then(JSON.stringify, ({ code }) => code)
    console.log(`node, ${name}: ${seen}`)
  }
  const { stdout } = await promisify(execFile)('venv/bin/python', ['finding.py', `${port}`])
  process.stdout.write(stdout)
  server.close()
})
server.on('message', (bytes, { port }) => {
  const { id, questions } = packet.decode(bytes)
  const [{ name, type }] = questions
  const alias = name === 'alias.test' ? [{ name, type: 'CNAME', ttl: 60, data: 'plain.test' }] : []
  const address = type === 'A' ? [{ name: 'plain.test', type, ttl: 60, data: '192.0.2.1' }] : []
  server.send(packet.encode({ type: 'response', id, flags: 0x0180, questions, answers: [...alias, ...address] }), port)
})
EOF
cat >finding.py <<'EOF'
import sys
import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ['127.0.0.1'], int(sys.argv[1])
for name in ('plain.test', 'alias.test'):
    try:
        print(f'dnspython, {name}:', *resolver.resolve(name, 'AAAA'))
    except dns.resolver.NoAnswer as error:
        print(f'dnspython, {name}: {type(error).__name__}')
EOF
seen=$(node finding.mjs)
echo "Node.js $(node --version) with c-ares $(node -p process.versions.ares), dnspython 2.8.0; AAAA of names that have A alone"
echo 'expected: ENODATA from Node for both, NoAnswer from dnspython for both'
sed 's/^/seen: /' <<<"$seen"
[ "$seen" = 'node, plain.test: ENODATA
node, alias.test: []
dnspython, plain.test: NoAnswer
dnspython, alias.test: NoAnswer' ] || { echo 'this has changed' >&2; exit 1; }
