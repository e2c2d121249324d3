"""One application by WSGI, ASGI, Tornado and aiohttp: the same answers by whatever server."""

STREAM = [b"x" * 1000] * 300


def answer(method, path, length):
    """Status, body (a list: in parts of unknown length), by a path whose last segment says what is wanted."""
    what = path.rsplit("/", 1)[-1]
    if what == "hello":
        return 200, b"hello"
    if what == "stream":
        return 200, STREAM
    if what == "length" and method == "POST":
        return 200, str(length).encode()
    return 404, b"missing"


def wsgi(environ, start_response):
    length = 0
    if environ["REQUEST_METHOD"] == "POST":
        length = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    status, body = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], length)
    headers = [("Content-Type", "text/plain")]
    if not isinstance(body, list):
        headers.append(("Content-Length", str(len(body))))
    start_response("200 OK" if status == 200 else "404 Not Found", headers)
    return body if isinstance(body, list) else [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    status, body = answer(scope["method"], scope["path"], length)
    headers = [(b"content-type", b"text/plain")]
    if not isinstance(body, list):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in body if isinstance(body, list) else [body]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def serve_tornado(port):
    import asyncio
    from tornado import web

    class Handler(web.RequestHandler):
        async def all(self):
            status, body = answer(self.request.method, self.request.path, len(self.request.body))
            self.set_status(status)
            for part in body if isinstance(body, list) else [body]:
                self.write(part)
                if isinstance(body, list):
                    await self.flush()

        get = post = head = all

    async def main():
        web.Application([("/.*", Handler)]).listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


def serve_aiohttp(port):
    from aiohttp import web

    async def handle(request):
        data = await request.read()
        status, body = answer(request.method, request.path, len(data))
        if not isinstance(body, list):
            return web.Response(status=status, body=body)
        response = web.StreamResponse()
        await response.prepare(request)
        for part in body:
            await response.write(part)
        return response

    app = web.Application(client_max_size=10**8)
    app.router.add_route("*", "/{path:.*}", handle)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def serve_werkzeug(port):
    from werkzeug.serving import WSGIRequestHandler, run_simple

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    run_simple("127.0.0.1", port, wsgi, threaded=True)


def serve_cheroot(port):
    from cheroot.wsgi import Server

    Server(("127.0.0.1", port), wsgi).start()


def serve_wsgiref(port):
    from wsgiref.simple_server import make_server

    make_server("127.0.0.1", port, wsgi).serve_forever()


if __name__ == "__main__":
    import sys

    globals()["serve_" + sys.argv[1]](int(sys.argv[2]))
