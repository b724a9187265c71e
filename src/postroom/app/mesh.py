"""Hints and commands between the processes of one server.

Every worker listens on a Unix socket. The other workers connect to it and write hints, one line each; commands connect
to it, write one JSON line and read one JSON line. Hints of one loop turn are merged and leave in one write to each
peer that wants any of them (see app.ears); they carry no data, so a lost connection costs only latency until it is
there again (see store.api.feed): then everybody there looks again.
Trust: whoever may open the socket (mode 0700 folder) is the administrator.
On failure: a line that cannot be read is answered with {"error": …} and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import msgspec

from postroom.app.ears import Ears, Wanted
from postroom.app.runfolder import RunFolder
from postroom.store.api import Feed, Hint

Command = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

LINE_LIMIT = 64 * 1024
RECONNECT_SECONDS = 0.5
#: in place of hints that could not be sent
MISSED = b"M\n"


class Mesh:
    """This worker's ends of the connections to all the others."""

    def __init__(self, folder: RunFolder, slot: int, wanted: Wanted, feed: Feed, command: Command) -> None:
        """wanted: the notes of all workers, one for each."""
        self._folder = folder
        self._wanted = wanted
        self._ears = Ears(feed, wanted, slot)
        self._slot = slot
        self._peers = [other for other in range(wanted.workers) if other != slot]
        self._feed = feed
        self._command = command
        self._links: dict[int, asyncio.Transport] = {}
        self._behind: set[int] = set()  # who was not told everything
        self._pending: dict[tuple[str, int], int] = {}
        self._due: set[int] = set()  # who wants any of them
        self._tasks: set[asyncio.Task[None]] = set()
        self._whole = asyncio.Event()
        self._server: asyncio.AbstractServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Listen, and begin to connect to the other workers."""
        self._loop = asyncio.get_running_loop()
        path = self._folder.socket_path(self._slot)
        self._folder.forget_socket(self._slot)
        self._server = await self._loop.create_unix_server(lambda: _Incoming(self), path)
        self._feed.forward = self.forward
        for peer in self._peers:
            self._keep(self._connect(peer))

    async def whole(self) -> None:
        """Wait until every other worker can be told."""
        await self._whole.wait()

    async def stop(self) -> None:
        """Close everything."""
        self._ears.close()
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for link in self._links.values():
            link.abort()
        self._folder.forget_socket(self._slot)

    def forward(self, hint: Hint) -> None:
        """Tell the other workers where somebody listens, at the end of this loop turn."""
        wanted = self._wanted.by(hint.account)
        due = [peer for peer in self._links if wanted[peer] or peer in self._behind]
        if not due:
            return
        if not self._pending and self._loop:
            self._loop.call_soon(self._flush)
        self._pending[hint.account, hint.mailbox] = hint.modseq
        self._due.update(due)

    def _flush(self) -> None:
        lines = "".join(f"H {account} {box} {modseq}\n" for (account, box), modseq in self._pending.items()).encode()
        self._pending.clear()
        due, self._due = self._due, set()
        for peer, link in self._links.items():
            if peer not in due:
                continue
            if link.get_write_buffer_size() >= LINE_LIMIT:
                self._behind.add(peer)  # a peer that hangs loses hints, never our memory
                continue
            if peer in self._behind:
                self._behind.discard(peer)
                link.write(MISSED)
            link.write(lines)

    def receive(self, line: bytes) -> None:
        """A hint from another worker."""
        _, account, mailbox, modseq = line.split(b" ")
        self._feed.receive(Hint(account.decode(), int(mailbox), int(modseq)))

    def missed(self) -> None:
        """Another worker could not tell us everything."""
        self._feed.missed()

    def answer(self, line: bytes, transport: asyncio.Transport) -> None:
        """A command: run it and write its answer."""
        self._keep(self._run(line, transport))

    async def _run(self, line: bytes, transport: asyncio.Transport) -> None:
        try:
            reply = await self._command(msgspec.json.decode(line, type=dict[str, Any]))
        except Exception as fault:  # the command's own fault must not end the worker
            reply = {"error": f"{type(fault).__name__}: {fault}"}
        transport.write(msgspec.json.encode(reply) + b"\n")

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, peer: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            outgoing = _Outgoing(loop.create_future())
            with contextlib.suppress(OSError):
                path = self._folder.socket_path(peer)
                transport, _ = await loop.create_unix_connection(partial(_same, outgoing), path)
                self._links[peer] = transport
                if len(self._links) == len(self._peers):
                    self._whole.set()
                transport.write(MISSED)  # nobody knows what there was to tell meanwhile
                await outgoing.lost
                self._links.pop(peer, None)
                self._whole.clear()
            await asyncio.sleep(RECONNECT_SECONDS)


class _Outgoing(asyncio.Protocol):
    """Our end of a connection to another worker: write only."""

    __slots__ = ("lost",)

    def __init__(self, lost: asyncio.Future[None]) -> None:
        self.lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


def _same(protocol: _Outgoing) -> _Outgoing:
    """A protocol factory for a protocol that is already made."""
    return protocol


class _Incoming(asyncio.Protocol):
    """Another worker's hints, or an administrator's commands."""

    __slots__ = ("_buffer", "_mesh", "_transport")

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LINE_LIMIT:
            self._transport.abort()
            return
        for line in lines:
            if line.startswith(b"H "):
                with contextlib.suppress(ValueError):
                    self._mesh.receive(line)
            elif line == MISSED[:-1]:
                self._mesh.missed()
            else:
                self._mesh.answer(line, self._transport)
