"""A smart host that does as it is told, on a real socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field


class Hang(Exception):
    """The script ends the connection here."""


@dataclass
class Taken:
    """A message the host took, or was being given."""

    mail: str = ""
    rcpts: list[str] = field(default_factory=list)
    data: bytes = b""
    complete: bool = False


@dataclass
class ScriptedHost:
    """replies: what to say to a verb (or "greeting", "end", or "RCPT x@y"), b"" says nothing, None hangs up.

    A list is used up, one reply each time. features: what EHLO offers. drop_in_data: hang up after this many octets.
    """

    features: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 1000000")
    replies: dict[str, object] = field(default_factory=dict)
    drop_in_data: int = 0
    refuse_in_data: bytes = b""  # said after 1,000 octets of the text
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    messages: list[Taken] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)  # of each connection
    open: int = 0
    most: int = 0
    gate: asyncio.Event | None = None  # the end of a message waits for it
    port: int = 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.tls if self.implicit else None, limit=2**20
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self.server.wait_closed()

    def __post_init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()

    def verbs(self, connection: int = 0) -> list[str]:
        return [line.split(" ")[0] for line in self.lines[connection]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.open += 1
        self.most = max(self.most, self.open)
        lines: list[str] = []
        self.lines.append(lines)
        try:
            await self._dialog(reader, writer, lines)
        except (Hang, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _dialog(self, reader, writer, lines: list[str]) -> None:
        say = self._sayer(writer)
        say("greeting", b"220 smart.test ESMTP\r\n")
        taken = Taken()
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            lines.append(text)
            verb = text.split(" ")[0].upper()
            if verb == "MAIL":
                taken = Taken(mail=text[10:])
                say("MAIL", b"250 2.1.0 ok\r\n")
            elif verb == "RCPT":
                said = say(f"RCPT {text[9:].split('>')[0]}", None) or say("RCPT", b"250 2.1.5 ok\r\n")
                if said.startswith(b"2"):
                    taken.rcpts.append(text[8:])
            elif verb == "DATA":
                if say("DATA", b"354 go\r\n").startswith(b"3"):
                    await self._data(reader, writer, taken)
                    say("end", b"250 2.0.0 queued\r\n")
            else:
                await self._session(verb, say, writer)

    async def _session(self, verb: str, say: Callable[[str, bytes | None], bytes], writer) -> None:
        if verb == "EHLO":
            offers = ("smart.test", *self.features)
            last = len(offers) - 1
            say("EHLO", b"".join(f"250{' -'[n < last]}{o}\r\n".encode() for n, o in enumerate(offers)))
        elif verb == "STARTTLS":
            say("STARTTLS", b"220 go ahead\r\n")
            await writer.start_tls(self.tls)
        elif verb == "AUTH":
            say("AUTH", b"235 2.7.0 welcome\r\n")
        elif verb == "QUIT":
            say("QUIT", b"221 2.0.0 bye\r\n")
            raise Hang
        else:
            say(verb, b"250 2.0.0 ok\r\n")

    def _sayer(self, writer) -> Callable[[str, bytes | None], bytes]:
        def say(what: str, usual: bytes | None) -> bytes:
            reply = self.replies.get(what, usual)
            if isinstance(reply, list):
                reply = reply.pop(0) if reply else usual
            if reply is None:
                if what in self.replies:
                    raise Hang
                return b""
            if isinstance(reply, str):
                reply = reply.encode() + b"\r\n"
            assert isinstance(reply, bytes)
            writer.write(reply)
            return reply

        return say

    async def _data(self, reader, writer, taken: Taken) -> None:
        self.messages.append(taken)
        if self.refuse_in_data:
            await reader.readexactly(1000)
            writer.write(self.refuse_in_data)
            await reader.read(2**30)
            raise Hang
        if self.drop_in_data:
            await reader.readexactly(self.drop_in_data)
            raise Hang
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise Hang
            taken.data += line.removeprefix(b".")
        taken.complete = True
        if self.gate:
            await self.gate.wait()
