#!/usr/bin/env bash
# One proxy URL, six clients, three passwords: axios, global-agent and needle log in with another one than curl.
#
# axios 1.21.1, global-agent 4.1.6, needle 3.5.0, undici 7.30.2 and https-proxy-agent 9.1.0 (npm), and curl as the measure.
# User and password of a URL are percent-encoded where they hold what a URL cannot (RFC 3986, sections 2.1 and 3.2.1), and
# Basic has them as they are (RFC 7617, section 2). axios, for the URL in http_proxy, and global-agent encode them as base64
# without decoding them. What is typed plainly does not help: WHATWG's URL, which both parse with, encodes a colon by itself,
# so that they can send no password with one. needle decodes, and ends the password at its first colon, which RFC 7617
# allows. undici and https-proxy-agent send what curl sends.
# Why it matters: proxy providers hand out passwords with such characters, and one http_proxy is for all programs of a
# container: with axios it is 407, and the same URL in curl, which is how one checks it, is fine.
# Instead: give axios `proxy: { host, port, auth: { username, password } }`, and elsewhere take passwords of letters and digits.
#
# Needs: node (20 or newer) with npm, and curl.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  axios@1.21.1 global-agent@4.1.6 needle@3.5.0 undici@7.30.2 https-proxy-agent@9.1.0

cat >finding.mjs <<'EOF'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import axios from 'axios'
import { createGlobalProxyAgent } from 'global-agent'
import { HttpsProxyAgent } from 'https-proxy-agent'
import needle from 'needle'
import { fetch, ProxyAgent } from 'undici'

/** A proxy that notes who logs in, and goes nowhere. */
let login
const proxy = http.createServer()
const note = ({ headers }) => (login ??= Buffer.from(String(headers['proxy-authorization']).slice(6), 'base64').toString())
proxy.on('request', (request, response) => response.end(note(request)))
proxy.on('connect', (request, socket) => socket.end(`HTTP/1.1 502 ${(note(request), 'Noted')}\r\nContent-Length: 0\r\n\r\n`))
proxy.listen(0, '127.0.0.1')
await once(proxy, 'listening')

const target = 'http://target.example/'
const get = (agent) => once(http.get(target, agent && { agent }).on('response', (answer) => answer.resume()), 'close')
const clients = {
  curl: (url) => once(execFile('curl', ['-s', '-x', url, target]), 'close'),
  undici: (url) => fetch(target, { dispatcher: new ProxyAgent(url) }),
  'https-proxy-agent': (url) => get(new HttpsProxyAgent(url)),
  needle: (url) => needle('get', target, { proxy: url }),
  axios: async (url) => {
    process.env.http_proxy = url
    await axios.get(target)
    delete process.env.http_proxy
  },
  // The last one, as it puts an agent of its own into node:http.
  'global-agent': (url) => {
    createGlobalProxyAgent({ environmentVariableNamespace: 'FINDING_' }).HTTP_PROXY = url
    return get()
  },
}
const known = {
  needle: ['user:p@ss', 'user:a'],
  axios: ['user:p%40ss', 'user:a%3Ab'],
  'global-agent': ['user:p%40ss', 'user:a%3Ab'],
}
console.log('axios 1.21.1, global-agent 4.1.6, needle 3.5.0, undici 7.30.2, https-proxy-agent 9.1.0')
console.log('expected: user:p@ss for http://user:p%40ss@proxy, and user:a:b for http://user:a:b@proxy')
let isSame = true
for (const [name, ask] of Object.entries(clients)) {
  const seen = []
  for (const given of ['user:p%40ss', 'user:a:b']) {
    login = undefined
    await Promise.resolve(ask(`http://${given}@127.0.0.1:${proxy.address().port}`)).catch(() => undefined)
    seen.push(login)
  }
  console.log(`seen:     ${name.padEnd(18)} ${seen.join('   ')}`)
  isSame &&= seen.join() === (known[name] ?? ['user:p@ss', 'user:a:b']).join()
}
console.log(isSame ? 'as recorded' : 'CHANGED')
process.exit(isSame ? 0 : 1)
EOF
node finding.mjs
