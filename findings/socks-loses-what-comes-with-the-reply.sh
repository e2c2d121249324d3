#!/usr/bin/env bash
# What a server says first is lost behind npm's socks when it comes in one packet with the proxy's reply.
#
# socks 2.8.11 (npm), SocksClient.createConnection to a SOCKS5 proxy (RFC 1928). TCP has no packets: a proxy, or the kernel,
# may send the reply and the first bytes of the target (the banner of SMTP, SSH, FTP or MySQL) together. The client hands
# such bytes on by emitting 'data' on the socket once, an immediate later, and not by putting them back into the stream.
# A listener for 'data' that is there by then sees them. A reader that takes from the stream (for await, read(),
# stream.pipeline into an async function) does not: it waits for a banner that has already been given away. The same
# readers see the banner when it comes in a packet of its own.
# Why it matters: which one happens depends on timing, so a mail or SSH client behind a fast proxy hangs now and then.
# Instead: attach a 'data' listener in the same turn as the connection is told and collect from it, or put the bytes back
# with socket.unshift() there.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . socks@2.8.11

cat >finding.mjs <<'EOF'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { SocksClient } from 'socks'

const banner = '220 mail.example ESMTP\r\n'
const reply = Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 25])

/** A SOCKS5 proxy whose target speaks first, in the packet of the reply or in one after it. */
const proxy = async (isTogether) => {
  const server = createServer(async (client) => {
    await once(client, 'data')
    client.write(Buffer.from([5, 0]))
    await once(client, 'data')
    if (isTogether) return client.write(Buffer.concat([reply, Buffer.from(banner)]))
    client.write(reply)
    await wait(200)
    client.write(banner)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const readers = {
  "socket.on('data')": (socket) => once(socket, 'data').then(([bytes]) => String(bytes)),
  'for await': async (socket) => {
    for await (const bytes of socket) return String(bytes)
  },
  "once(socket, 'readable'), read()": async (socket) => {
    await once(socket, 'readable')
    return String(socket.read())
  },
}

console.log('socks 2.8.11')
console.log('expected: each reader gets the banner both times')
const lost = []
for (const isTogether of [false, true]) {
  for (const [name, read] of Object.entries(readers)) {
    const server = await proxy(isTogether)
    const { socket } = await SocksClient.createConnection({
      command: 'connect',
      proxy: { host: '127.0.0.1', port: server.address().port, type: 5 },
      destination: { host: '127.0.0.1', port: 25 },
    })
    const got = await Promise.race([read(socket), wait(2000, undefined)])
    const how = isTogether ? 'in the packet of the reply' : 'in a packet of its own'
    console.log(`seen: ${name}, ${how}: ${got === banner ? 'the banner' : 'nothing in 2 seconds'}`)
    if (got !== banner) lost.push(`${name}, ${how}`)
    socket.destroy()
    server.close()
  }
}
const known = ['for await, in the packet of the reply', "once(socket, 'readable'), read(), in the packet of the reply"]
if (lost.join() !== known.join()) {
  console.error('this has changed')
  process.exit(1)
}
process.exit(0)
EOF
node finding.mjs
