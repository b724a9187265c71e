"""The client for HTTPS against servers that are right, wrong and hostile."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.net.https import FetchFailed, Request, ask
from postroom.net.tls import client_context
from postroom.testing.authority import Authority
from postroom.testing.scripted_web import ScriptedWeb

NOW = datetime.datetime.now(datetime.UTC)
ROOT = Authority("root", NOW)
HOST = "policy.test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(ROOT.pem)
    return folder


@pytest.fixture
async def web(folder: Path) -> AsyncIterator[ScriptedWeb]:
    web = ScriptedWeb(ROOT.issue(HOST).server_context(folder))
    await web.start()
    yield web
    await web.stop()


@pytest.fixture
def trusted(folder: Path) -> ssl.SSLContext:
    return client_context(True, str(folder / "ca.pem"))


def request(web: ScriptedWeb, **options) -> Request:
    return Request(host=HOST, path="/x", port=web.port, **{"addresses": ["127.0.0.1"], **options})


async def test_a_page(web: ScriptedWeb, trusted: ssl.SSLContext) -> None:
    web.answer = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=x\r\nContent-Length: 5\r\n\r\nhello, more"
    response = await ask(request(web), trusted)
    assert (response.status, response.media_type, response.body) == (200, "text/plain", b"hello")
    assert web.asked == [
        b"GET /x HTTP/1.1\r\nHost: policy.test:%d\r\nUser-Agent: Postroom\r\nConnection: close\r\n\r\n" % web.port
    ]


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.0 200\r\n\r\nto the end", 200, b"to the end"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n",
            200,
            b"abcde",
        ),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n", 301, b""),
        (b"HTTP/1.1 204 None\r\n\r\n", 204, b""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
    ],
)
async def test_answers(web: ScriptedWeb, trusted: ssl.SSLContext, answer: bytes, status: int, body: bytes) -> None:
    web.answer = answer
    response = await ask(request(web), trusted)
    assert (response.status, response.body) == (status, body)
    assert len(web.asked) == 1  # no redirect is followed


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 200 " + b"y" * 70000,
    ],
)
async def test_answers_that_are_no_http(web: ScriptedWeb, trusted: ssl.SSLContext, answer: bytes) -> None:
    web.answer = answer
    with pytest.raises(FetchFailed, match=r"no HTTP|ended the connection|was lost"):
        await ask(request(web), trusted)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"32\r\n" + b"x" * 50 + b"\r\n33\r\n" + b"x" * 51,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ],
)
async def test_too_much(web: ScriptedWeb, trusted: ssl.SSLContext, answer: bytes) -> None:
    web.answer = answer
    with pytest.raises(FetchFailed, match="more than 100 octets"):
        await ask(request(web, most=100), trusted)


async def test_a_server_that_takes_too_long(web: ScriptedWeb, trusted: ssl.SSLContext) -> None:
    web.answer, web.silent = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", True
    with pytest.raises(FetchFailed, match="took too long"):
        await ask(request(web, seconds=0.3), trusted)


@pytest.mark.parametrize(("names", "days"), [(["other.test"], (-1, 30)), ([HOST], (-30, -1)), (None, (-1, 30))])
async def test_servers_that_do_not_prove_who_they_are(
    web: ScriptedWeb, trusted: ssl.SSLContext, tmp_path: Path, names: list[str] | None, days: tuple[int, int]
) -> None:
    issued = ROOT.issue(*names, days=days) if names else Authority("else", NOW).issue(HOST)
    other = ScriptedWeb(issued.server_context(tmp_path))
    await other.start()
    with pytest.raises(FetchFailed) as caught:
        await ask(request(other), trusted)
    assert caught.value.certificate
    assert other.asked == []
    await other.stop()


async def test_the_next_address_is_tried(web: ScriptedWeb, trusted: ssl.SSLContext) -> None:
    web.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert (await ask(request(web, addresses=["127.0.0.66", "127.0.0.1"]), trusted)).status == 200
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await ask(request(web, addresses=["127.0.0.66"]), trusted)
    with pytest.raises(FetchFailed, match="no address"):
        await ask(request(web, addresses=[]), trusted)


async def test_something_is_posted(web: ScriptedWeb, trusted: ssl.SSLContext) -> None:
    web.answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    sent = request(web, method="POST", body=b"report", fields=(("Content-Type", "application/tlsrpt+gzip"),))
    assert (await ask(sent, trusted)).status == 201
    assert web.asked[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert web.asked[0].endswith(b"Content-Type: application/tlsrpt+gzip\r\nContent-Length: 6\r\n\r\nreport")
