#!/usr/bin/env bash
# getBatchDetailsIter() of the Python SDK of IPinfo leaves out every address that it has cached.
#
# ipinfo 5.6.0 (PyPI). The generator puts cached addresses aside and never yields them: a second pass over an overlapping
# list is silently shorter. When all addresses are cached, it raises StopIteration inside the generator, which Python
# turns into "RuntimeError: generator raised StopIteration" (PEP 479). getBatchDetails() of the same class does return
# what it has cached. The records come without the input that they answer, so that gaps go unnoticed, and shift the rows
# of a program that pairs records with inputs.
# Why it matters: enrichment jobs that run again after a crash or over overlapping logs lose rows and count as successful.
# Instead: getBatchDetails() with slices of the list, or a handler with a cache that holds nothing.
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

class Upstream(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        body = json.dumps({ip: {'ip': ip, 'country': 'US'} for ip in asked}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Upstream)
threading.Thread(target=server.serve_forever, daemon=True).start()
ipinfo.handler.API_URL = f'http://127.0.0.1:{server.server_port}'
handler = ipinfo.getHandler('any')

def addresses(asked):
    try:
        return [record['ip'] for record in handler.getBatchDetailsIter(asked)]
    except Exception as error:
        return f'{type(error).__name__}: {error}'

first = addresses(['8.8.8.8', '1.1.1.1'])
longer = addresses(['8.8.8.8', '9.9.9.9', '1.1.1.1'])
again = addresses(['8.8.8.8', '9.9.9.9'])
print('ipinfo', importlib.metadata.version('ipinfo'))
print('expected: each pass yields a record for every address of its list')
print('seen:     first pass  ', first)
print('          longer list ', longer)
print('          same again  ', again)
same = first == ['8.8.8.8', '1.1.1.1'] and longer == ['9.9.9.9'] and again == 'RuntimeError: generator raised StopIteration'
print('as recorded' if same else 'CHANGED')
sys.exit(0 if same else 1)
EOF
