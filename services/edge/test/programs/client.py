"""client.py LIBRARY URL [CA]: the answer to a GET, or with a body to a POST, and by which version of HTTP."""

import sys

library, url, ca = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
data = b"x" * 100_000


def by_urllib():
    import ssl
    import urllib.request

    context = ssl.create_default_context(cafile=ca) if ca else None
    return [urllib.request.urlopen(url, body, context=context).read().decode() for body in (None, data)]


def by_requests():
    import requests

    session = requests.Session()
    return [session.request(method, url, data=body, verify=ca or True).text for method, body in (("GET", None), ("POST", data))]


def by_urllib3():
    import urllib3

    pool = urllib3.PoolManager(ca_certs=ca)
    return [pool.request(method, url, body=body).data.decode() for method, body in (("GET", None), ("POST", data))]


def by_httpx(http2=False):
    import httpx
    import ssl

    verify = ssl.create_default_context(cafile=ca) if ca else True
    with httpx.Client(http2=http2, verify=verify) as client:
        return [client.get(url).text, client.post(url, content=data).text]


def by_httpx2():
    return by_httpx(http2=True)


def by_aiohttp():
    import aiohttp
    import asyncio
    import ssl

    async def both():
        context = ssl.create_default_context(cafile=ca) if ca else None
        async with aiohttp.ClientSession() as session:
            got = await (await session.get(url, ssl=context or True)).text()
            return [got, await (await session.post(url, data=data, ssl=context or True)).text()]

    return asyncio.run(both())


def by_pycurl():
    import io
    import pycurl

    answers = []
    for body in (None, data):
        curl, out = pycurl.Curl(), io.BytesIO()
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.WRITEDATA, out)
        if ca:
            curl.setopt(pycurl.CAINFO, ca)
        if body:
            curl.setopt(pycurl.POSTFIELDS, body)
        curl.perform()
        answers.append(out.getvalue().decode())
    return answers


for answer in globals()["by_" + library]():
    print(answer.strip())
