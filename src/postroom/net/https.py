"""A small client for HTTPS: one request, one response, small bodies. Policies are fetched and reports posted with it.

httpx2 would cost 7 MB in each worker and 0.75 s at its first use; what is needed is one GET without redirects, cookies,
proxies or compression, with limits that a hostile server cannot get around.
Owns: one connection for each request, which ends with it. Trusts: nothing of the server but what its certificate
proves; the response has a size and the whole a deadline.
Standards: RFC 9110, RFC 9112 4, 6, 7.1 (HTTP/1.1, chunks), RFC 8461 3.3 (no redirects, no cached answers).
On failure: FetchFailed, whose text says what went wrong.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_HEAD: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?\r?\n")
_CONNECT: Final = 10.0  # seconds for one address, with its handshake
_MOST_ADDRESSES: Final = 4
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")


class FetchFailed(Exception):
    """No usable response. certificate: the server did not prove to be who it must be."""

    def __init__(self, text: str, *, certificate: bool = False) -> None:
        super().__init__(text)
        self.certificate = certificate


class Silent(ValueError):
    """The connection ended without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask. host: a name, which the certificate must hold; addresses: where it is; seconds: for all of it.

    most: octets of a response's body.
    """

    host: str
    addresses: Sequence[str]
    path: str
    method: str = "GET"
    port: int = 443
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 30.0
    most: int = 64 * 1024

    def lines(self, *own: str) -> list[str]:
        """Request line and fields, but the one that says how long it is; own: fields of the connection."""
        host = self.host if self.port == 443 else f"{self.host}:{self.port}"
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", "User-Agent: Postroom"]
        return [*lines, *own, *(f"{name}: {value}" for name, value in self.fields)]

    def octets(self) -> bytes:
        """As it is sent."""
        lines = self.lines("Connection: close")
        if self.body or self.method != "GET":
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered. fields: names in lower case; of several with one name the last."""

    status: int
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """Without parameters, lower case."""
        return self.fields.get("content-type", "").partition(";")[0].strip().lower()


async def ask(request: Request, tls: ssl.SSLContext | None) -> Response:
    """One request. The addresses are tried one after the other until one takes the connection. Raises FetchFailed.

    tls None: without it, for programs on this machine only.
    """
    try:
        async with asyncio.timeout(request.seconds):
            reader, writer = await _connect(request, tls)
            try:
                writer.write(request.octets())
                await writer.drain()
                return await read_response(reader, request.most)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise FetchFailed(f"{request.host} took too long") from None
    except asyncio.IncompleteReadError:
        raise FetchFailed(f"{request.host} ended the connection within its answer") from None
    except (asyncio.LimitOverrunError, ValueError):
        raise FetchFailed(f"{request.host} gave an answer that is no HTTP") from None
    except OSError as fault:
        raise FetchFailed(f"the connection to {request.host} was lost ({fault})") from None


async def _connect(request: Request, tls: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    last = FetchFailed(f"{request.host} has no address")
    for address in request.addresses[:_MOST_ADDRESSES]:
        try:
            async with asyncio.timeout(_CONNECT):
                return await asyncio.open_connection(
                    address, request.port, ssl=tls, server_hostname=request.host if tls else None, limit=_HEAD
                )
        except ssl.SSLCertVerificationError as fault:
            reason = fault.verify_message.rstrip(".")
            last = FetchFailed(f"the certificate of {request.host} cannot be trusted: {reason}", certificate=True)
        except ssl.SSLError as fault:
            last = FetchFailed(f"the TLS handshake with {request.host} failed: {fault}")
        except TimeoutError:
            last = FetchFailed(f"{request.host} [{address}] does not answer")
        except OSError as fault:
            last = FetchFailed(f"{request.host} [{address}] cannot be reached: {fault.strerror or fault}")
    raise last


async def read_response(reader: asyncio.StreamReader, most: int) -> Response:
    """RFC 9112 6. Raises Silent; ValueError for what is no HTTP, IncompleteReadError; FetchFailed: too large."""
    while True:
        line = await reader.readline()
        match = _STATUS.fullmatch(line)
        if match is None:
            raise ValueError if line else Silent
        status = int(match[1])
        fields = await _fields(reader)
        if status >= 200:
            break
    return Response(status, fields, await _body(reader, fields, most) if status != 204 else b"")


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    found: dict[str, str] = {}
    room = _HEAD
    while line := (await reader.readline()).rstrip(b"\r\n"):
        room -= len(line) + 2
        name, colon, value = line.decode("latin-1").partition(":")
        if room < 0 or not colon or not name.strip() or name != name.strip():
            raise ValueError
        found[name.lower()] = value.strip()
    return found


async def _body(reader: asyncio.StreamReader, fields: dict[str, str], most: int) -> bytes:
    """Raises ValueError, FetchFailed when there is too much of it."""
    coding = fields.get("transfer-encoding", "").lower()
    if coding == "chunked":
        return await _chunks(reader, most)
    if coding or fields.get("content-encoding", "identity").lower() != "identity":
        raise ValueError
    length = fields.get("content-length")
    if length is None:
        return await _rest(reader, most)
    if not length.isascii() or not length.isdigit():
        raise ValueError
    if int(length) > most:
        raise _too_large(most)
    return await reader.readexactly(int(length))


async def _rest(reader: asyncio.StreamReader, most: int) -> bytes:
    found = bytearray()
    while data := await reader.read(most + 1 - len(found)):
        found += data
        if len(found) > most:
            raise _too_large(most)
    return bytes(found)


async def _chunks(reader: asyncio.StreamReader, most: int) -> bytes:
    found = bytearray()
    while True:
        size = (await reader.readline()).partition(b";")[0].strip()
        if not _HEX.fullmatch(size):
            raise ValueError
        octets = int(size, 16)
        if not octets:
            return bytes(found)  # trailers are of no interest
        if len(found) + octets > most:
            raise _too_large(most)
        found += await reader.readexactly(octets)
        if (await reader.readline()).strip():
            raise ValueError


def _too_large(most: int) -> FetchFailed:
    return FetchFailed(f"the answer has more than {most} octets")
