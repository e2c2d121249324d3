#!/usr/bin/env bash
# httpx fails behind a SOCKS5 proxy whose reply comes in two pieces, and blames the proxy for a malformed reply.
#
# httpx 0.28.1 with httpcore 1.0.9 and socksio 1.0.0 (PyPI). TCP has no packets: the two bytes that choose a method and the
# ten or more of the reply (RFC 1928, sections 3 and 6) may come in any number of pieces. httpcore reads once and hands what
# came to socksio as the whole reply. PySocks 1.7.1, behind requests and urllib3, reads as many bytes as the reply has.
# Proxies that write the reply field by field, or pass on that of a parent, and links with a small MTU or TLS around SOCKS,
# give such pieces now and then.
# Why it matters: some connections through a healthy proxy end in "ProtocolError: Malformed reply", under load more than
# in tests. A pool that leaves out proxies which break the protocol leaves out good ones.
# Instead: try such an error again on a new connection, use CONNECT, or a transport of aiohttp-socks or PySocks.
#
# Needs: python3 (3.9 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check httpx==0.28.1 httpcore==1.0.9 socksio==1.0.0 PySocks==1.7.1

cat >finding.py <<'EOF'
import socket, threading, time
import httpx, socks

METHOD, REPLY = b'\5\0', b'\5\0\0\1\x7f\0\0\1\0\x50'
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'

def proxy(pieces):
    """The port of a SOCKS5 proxy for one connection, whose reply comes in these pieces. It is the target as well."""
    listener = socket.create_server(('127.0.0.1', 0))

    def serve():
        client, _ = listener.accept()
        client.recv(300)
        client.sendall(METHOD)
        client.recv(300)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.3)
        try:
            client.recv(3000)
            client.sendall(ANSWER)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]

def by_httpx(port):
    return httpx.get('http://192.0.2.1/', proxy=f'socks5://127.0.0.1:{port}', trust_env=False).text

def by_pysocks(port):
    client = socks.socksocket()
    client.set_proxy(socks.SOCKS5, '127.0.0.1', port)
    client.connect(('192.0.2.1', 80))
    client.sendall(b'GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n')
    return client.recv(300).decode().split()[-1]

for how, pieces in {'in one piece': [REPLY], 'in two pieces': [REPLY[:4], REPLY[4:]]}.items():
    for ask in (by_httpx, by_pysocks):
        try:
            print(f'{ask.__name__}, {how}: {ask(proxy(pieces))}')
        except Exception as error:
            print(f'{ask.__name__}, {how}: {type(error).__name__}: {error}')
EOF
seen=$(python/bin/python finding.py)
echo 'httpx 0.28.1 (httpcore 1.0.9, socksio 1.0.0), PySocks 1.7.1'
echo 'expected: ok from both, both times'
sed 's/^/seen: /' <<<"$seen"
[ "$seen" = 'by_httpx, in one piece: ok
by_pysocks, in one piece: ok
by_httpx, in two pieces: ProtocolError: Malformed reply
by_pysocks, in two pieces: ok' ] || { echo 'this has changed' >&2; exit 1; }
