#!/usr/bin/env bash
# One X-Forwarded-For with ports, three readers, three clients: the client, the gateway, and a new one each connection.
#
# request-ip 3.3.0 and proxy-addr 2.0.8 (npm; proxy-addr is req.ip of Express), python-ipware 4.1.1 (PyPI). Some gateways,
# Azure Application Gateway among them, write address and port into X-Forwarded-For, and RFC 7239, section 6, has
# [address]:port for IPv6. For [2001:db8::1]:443 request-ip gives up and returns the gateway's own address, although it
# reads 203.0.113.9:51413; proxy-addr returns text with the port in both cases, which is no address; python-ipware reads
# both.
# Why it matters: statistics and geolocation see all IPv6 visitors in one place, the gateway's, or count a visitor once for
# each connection, and a look-up of the text with the port is a 404 that costs a unit of quota.
# Instead: read the field in one place of your own, take port and brackets off, and check that an address is left.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . request-ip@3.3.0 proxy-addr@2.0.8
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-ipware==4.1.1

cat >finding.mjs <<'EOF'
import proxyAddr from 'proxy-addr'
import requestIp from 'request-ip'
for (const field of process.argv.slice(2)) {
  const request = { headers: { 'x-forwarded-for': field }, socket: { remoteAddress: '10.0.0.1' }, connection: { remoteAddress: '10.0.0.1' } }
  console.log(requestIp.getClientIp(request), proxyAddr(request, ['10.0.0.0/8']))
}
EOF
cat >finding.py <<'EOF'
import sys
from python_ipware import IpWare
for field in sys.argv[1:]:
    print(IpWare().get_client_ip({'HTTP_X_FORWARDED_FOR': field, 'REMOTE_ADDR': '10.0.0.1'})[0])
EOF
fields=('203.0.113.9:51413' '[2001:db8::1]:443')
node_sees=$(node finding.mjs "${fields[@]}")
python_sees=$(venv/bin/python finding.py "${fields[@]}")
echo "request-ip 3.3.0, proxy-addr 2.0.8, python-ipware 4.1.1; the gateway is 10.0.0.1"
echo "expected: 203.0.113.9 and 2001:db8::1 from all"
echo "seen:     field | request-ip proxy-addr | python-ipware"
paste -d '|' <(printf '%s\n' "${fields[@]}") <(echo "$node_sees") <(echo "$python_sees") | sed 's/^/          /; s/|/ | /g'
if [[ $node_sees == $'203.0.113.9 203.0.113.9:51413\n10.0.0.1 [2001:db8::1]:443' && $python_sees == $'203.0.113.9\n2001:db8::1' ]]; then
  echo "as recorded"
else
  echo "CHANGED"
  exit 1
fi
