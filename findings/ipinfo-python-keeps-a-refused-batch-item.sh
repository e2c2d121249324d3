#!/usr/bin/env bash
# One item of a batch that is refused becomes the record of that address for a day in the Python SDK of IPinfo.
#
# ipinfo 5.6.0 (PyPI). A batch answers 200, and an item that failed carries its own {"status": …, "error": …}.
# getBatchDetails() stores each item unread. From then on getDetails(), which raises for such an answer when it is asked
# alone, returns the error as a Details object without asking (24 hours by default). The Node SDK (node-ipinfo 4.4.0) has
# a check for exactly this and does not cache such items.
# Why it matters: a proxy that answers part of a batch, and says "429, try later" for the rest, cannot make good on it:
# the client that does as told, and asks again later, never reaches the proxy.
# Instead: remove items that have "error" from handler.cache after a batch, or refuse the batch as a whole.
#
# Needs: python3 (3.9 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ipinfo==5.6.0

venv/bin/python - <<'EOF'
import http.server, importlib.metadata, json, sys, threading
import ipinfo.handler

requests = []
limited = {'status': 429, 'error': {'title': 'Rate limit exceeded', 'message': 'try later'}}

class Upstream(http.server.BaseHTTPRequestHandler):
    def answer(self, value):
        requests.append(self.path)
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.answer({'8.8.8.8': {'ip': '8.8.8.8', 'country': 'US'}, '9.9.9.9': limited})
    def do_GET(self):
        self.answer({'ip': '9.9.9.9', 'country': 'CH'})
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Upstream)
threading.Thread(target=server.serve_forever, daemon=True).start()
ipinfo.handler.API_URL = f'http://127.0.0.1:{server.server_port}'
handler = ipinfo.getHandler('any')

handler.getBatchDetails(['8.8.8.8', '9.9.9.9'])
later = handler.getDetails('9.9.9.9').all
print('ipinfo', importlib.metadata.version('ipinfo'))
print('expected: the refused item is asked again:', {'ip': '9.9.9.9', 'country': 'CH'})
print('seen:    ', {name: later[name] for name in ('ip', 'country', 'status', 'error') if name in later}, 'requests:', requests)
same = later.get('status') == 429 and requests == ['/batch']
print('as recorded' if same else 'CHANGED')
sys.exit(0 if same else 1)
EOF
