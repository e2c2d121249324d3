#!/usr/bin/env bash
# wget2 tells an HTTP proxy no port: with http_proxy set, http://example.com:8080/ is http://example.com/ to the proxy.
#
# wget2 1.99.1 (Debian 12) writes no port into Host, against RFC 9110 §7.2, which does little harm where it connects to the port
# itself. To a proxy it has to send "the target URI in absolute-form" (RFC 9112 §3.2.2), and leaves the port out of that too. So
# the proxy fetches what listens at port 80 of that host, and wget2 saves it as what was asked for and ends with 0. curl and
# wget send the port.
# Why it matters: the wrong service answers, mostly by a 404 or a page that looks right, and the request, with what cookies and
# login it has, went to the other service. The log of the proxy has a port that nobody asked for.
# Instead: curl or wget where a port other than 80 is asked for through a proxy.
#
# Needs: Debian 12 with apt, curl, wget, node (20 or newer). Nothing is installed: the packages are unpacked.
set -euo pipefail
dir=$(mktemp -d)
proxy=
trap '[ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
  wget2=1.99.1-2.2 libwget0=1.99.1-2.2 libgpgme11 libassuan0 libpcre2-8-0 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
libraries=$dir/root/usr/lib:$(dirname "$(find "$dir/root" -name 'libgpgme.so.11')")

# A proxy that answers with what it was asked for.
cat >proxy.mjs <<'EOF'
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'

const proxy = createServer((req, res) => res.end(`${req.url} with Host ${req.headers.host}\n`))
proxy.listen(0, '127.0.0.1', () => {
  writeFileSync('port.new', `${proxy.address().port}\n`)
  renameSync('port.new', 'port')
})
EOF
node proxy.mjs &
proxy=$!
for _ in $(seq 100); do [ -e port ] && break; sleep 0.1; done
at=http://127.0.0.1:$(cat port)
url=http://example.com:8080/a

unset no_proxy NO_PROXY all_proxy ALL_PROXY
export http_proxy=$at HOME=$dir
by_curl=$(curl -s "$url")
by_wget=$(wget -q -O - "$url")
ended=0
by_wget2=$(LD_LIBRARY_PATH=$libraries root/usr/bin/wget2 -q -O - "$url") || ended=$?
direct=$(http_proxy='' LD_LIBRARY_PATH=$libraries root/usr/bin/wget2 -q -O - "$at/a")

echo 'wget2 1.99.1-2.2'
echo "expected: the proxy is asked for $url"
echo "seen:     curl: $by_curl"
echo "seen:     wget: $by_wget"
echo "seen:     wget2: $by_wget2; exit status $ended"
echo "seen:     wget2, without a proxy: $direct"
if [ "$by_curl" = "$url with Host example.com:8080" ] && [ "$by_wget" = "$by_curl" ] && [ "$ended" = 0 ] &&
  [ "$by_wget2" = 'http://example.com/a with Host example.com' ] && [ "$direct" = '/a with Host 127.0.0.1' ]; then
  echo 'as recorded'
else
  echo 'CHANGED'
  exit 1
fi
