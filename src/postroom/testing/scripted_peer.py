"""An SMTP server that does as it is told, on a real socket: any reply, silence or end at any stage.

Owns: its socket and connections, until `stop`. Ports are shared by giving peers addresses of their own on loopback
(127.0.0.2, 127.0.0.3 …), as the servers of different domains have.
On failure: what a test asked for; a connection that ends early is closed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str, bytes | None], bytes]


class HangUp(Exception):
    """The script ends the connection here."""


@dataclass
class Taken:
    """A message the peer took, or was being given."""

    mail: str = ""
    rcpts: list[str] = field(default_factory=list)
    data: bytes = b""
    complete: bool = False


@dataclass
class ScriptedPeer:
    """replies: what to say to a verb (or "greeting", "end", or "RCPT x@y"), b"" says nothing, None hangs up.

    A list is used up, one reply each time. features: what EHLO offers; secure_features: after TLS, if they differ.
    drop_in_data: hang up after this many octets; refuse_in_data: said after 1,000 octets of the text.
    lying: goes on after a MAIL that it has refused. gate: the end of a message waits for it.
    most_open: connections that are let in at once, others get a 421. trickle: every reply comes octet by octet, so many
    seconds apart. deaf: the text is not read.
    """

    features: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 1000000")
    secure_features: tuple[str, ...] | None = None
    replies: dict[str, object] = field(default_factory=dict)
    drop_in_data: int = 0
    refuse_in_data: bytes = b""
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    name: str = "peer.test"
    lying: bool = False
    gate: asyncio.Event | None = None
    most_open: int = 1_000_000
    trickle: float = 0.0
    deaf: bool = False
    messages: list[Taken] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)  # of each connection
    clients: list[str] = field(default_factory=list)  # address of each connection
    open: int = 0
    most: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _trickling: dict[asyncio.StreamWriter, bytearray] = field(default_factory=dict)
    _server: asyncio.Server | None = None

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen."""
        tls = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._serve, address, port, ssl=tls, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End everything at once."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    def verbs(self, connection: int = 0) -> list[str]:
        """The commands of a connection."""
        return [line.split(" ")[0] for line in self.lines[connection]]

    @property
    def whole(self) -> list[Taken]:
        """Messages that were given to their end."""
        return [each for each in self.messages if each.complete]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.open += 1
        self.most = max(self.most, self.open)
        self.clients.append(writer.get_extra_info("peername")[0])
        lines: list[str] = []
        self.lines.append(lines)
        try:
            if self.open > self.most_open:
                writer.write(b"421 4.7.0 too many connections\r\n")
            else:
                await self._dialog(reader, writer, lines)
        except (HangUp, OSError, asyncio.IncompleteReadError):  # ssl.SSLError is an OSError
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            self._trickling.pop(writer, None)
            writer.close()

    async def _dialog(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: list[str]) -> None:
        say = self._sayer(writer)
        say("greeting", f"220 {self.name} ESMTP\r\n".encode())
        taken, mail = Taken(), True
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            lines.append(text)
            verb = text.split(" ")[0].upper()
            if verb == "MAIL":
                taken = Taken(mail=text[10:])
                mail = say("MAIL", b"250 2.1.0 ok\r\n").startswith(b"2") or self.lying
            elif verb in ("RCPT", "DATA") and not mail:
                say("", b"503 5.5.1 MAIL first\r\n")
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

    async def _session(self, verb: str, say: Say, writer: asyncio.StreamWriter) -> None:
        if verb == "EHLO":
            secure = writer.get_extra_info("ssl_object") is not None
            features = self.features if self.secure_features is None or not secure else self.secure_features
            offers = (self.name, *features)
            last = len(offers) - 1
            say("EHLO", b"".join(f"250{' -'[n < last]}{o}\r\n".encode() for n, o in enumerate(offers)))
        elif verb == "STARTTLS":
            if say("STARTTLS", b"220 go ahead\r\n").startswith(b"2"):
                if self.tls is None:
                    raise HangUp
                await writer.start_tls(self.tls)
        elif verb == "AUTH":
            say("AUTH", b"235 2.7.0 welcome\r\n")
        elif verb == "QUIT":
            say("QUIT", b"221 2.0.0 bye\r\n")
            raise HangUp
        else:
            say(verb, b"250 2.0.0 ok\r\n")

    def _sayer(self, writer: asyncio.StreamWriter) -> Say:
        def say(what: str, usual: bytes | None) -> bytes:
            reply = self.replies.get(what, usual)
            if isinstance(reply, list):
                reply = reply.pop(0) if reply else usual
            if reply is None:
                if what in self.replies:
                    raise HangUp
                return b""
            if isinstance(reply, str):
                reply = reply.encode() + b"\r\n"
            assert isinstance(reply, bytes)
            self._write(writer, reply)
            return reply

        return say

    def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if not self.trickle:
            writer.write(data)
            return
        waiting = self._trickling.setdefault(writer, bytearray())
        idle = not waiting
        waiting += data
        if idle:
            self._drip(writer)

    def _drip(self, writer: asyncio.StreamWriter) -> None:
        """The next octet of what is to be said."""
        waiting = self._trickling.get(writer)
        if writer.is_closing() or not waiting:
            return
        writer.write(waiting[:1])
        del waiting[:1]
        if waiting:
            asyncio.get_running_loop().call_later(self.trickle, self._drip, writer)

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, taken: Taken) -> None:
        self.messages.append(taken)
        if self.refuse_in_data:
            await reader.readexactly(1000)
            writer.write(self.refuse_in_data)
            await reader.read(2**30)
            raise HangUp
        if self.deaf:
            transport: Any = writer.transport
            transport.pause_reading()
            await writer.wait_closed()
            raise HangUp
        if self.drop_in_data:
            await reader.readexactly(self.drop_in_data)
            raise HangUp
        text: list[bytes] = []
        try:
            while (line := await reader.readline()) != b".\r\n":
                if not line:
                    raise HangUp
                text.append(line.removeprefix(b"."))
        finally:
            taken.data = b"".join(text)
        taken.complete = True
        if self.gate:
            await self.gate.wait()
