"""Mail that the server writes by itself: to a user and to the administrator of the user's domain.

Owns: the form of such mail, and those that are on their way into the queue. Trusts: the texts are the server's own.
Standards: RFC 3834 5 (Auto-Submitted), RFC 5321 6.1 (null sender, so that nobody answers).
On failure: an event; nobody waits for a notice.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable

from postroom.intake import trace
from postroom.intake.rooms import Queue
from postroom.intake.routing import Routes
from postroom.policy.words import Notice
from postroom.queue.reports import Sign, unsigned
from postroom.store.api import NewEntry, NewRecipient, StoreError
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

_WIDTH = 76


class Notices:
    """Takes a notice and sends it. postmaster: who administers every domain; "" asks each domain's own postmaster."""

    __slots__ = ("_clock", "_event", "_queue", "_routes", "_sign", "_under_way", "postmaster")

    def __init__(
        self,
        queue: Queue,
        routes: Routes,
        postmaster: str,
        clock: Clock,
        event: Callable[..., None],
        sign: Sign = unsigned,
    ) -> None:
        self._sign = sign
        self._queue = queue
        self._routes = routes
        self.postmaster = postmaster
        self._clock = clock
        self._event = event
        self._under_way: set[asyncio.Task[None]] = set()

    def __call__(self, notice: Notice) -> None:
        """Send it soon."""
        task = asyncio.get_running_loop().create_task(self._send(notice))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settled(self) -> None:
        """Wait until all are in the queue."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _send(self, notice: Notice) -> None:
        try:
            recipients = await self._recipients(notice)
            if recipients:
                entry = self._queue.new_id()
                now = self._clock.now()
                octets = written(notice, entry, ", ".join(each.address for each in recipients), now)
                content = Content.of(octets)
                await self._queue.accept(
                    NewEntry(
                        id=entry,
                        sender="",
                        recipients=recipients,
                        content=content,
                        received=now,
                        trace=await self._sign(content, now),
                        body="7BIT" if octets.isascii() else "8BITMIME",
                        smtputf8=not all(each.address.isascii() for each in recipients),
                    )
                )
        except (StoreError, Refusal) as fault:
            self._event("notice.dropped", login=notice.login, reason=str(fault))

    async def _recipients(self, notice: Notice) -> tuple[NewRecipient, ...]:
        """The user and the administrator, each once."""
        found: dict[str, NewRecipient] = {}
        administrator = (self.postmaster or f"postmaster@{notice.domain}") if notice.to_admin else ""
        for text in (notice.login, administrator):
            try:
                address = Address.parse(text)
            except BadAddress:
                continue
            for recipient in await self._routes(address):
                found.setdefault(recipient.address.casefold(), recipient)
        return tuple(found.values())


def written(notice: Notice, entry: str, to: str, now: float) -> bytes:
    """The message with CR LF line ends."""
    lines: list[str] = []
    for line in notice.text.splitlines():
        lines += [line] if line.startswith(" ") else textwrap.wrap(line, _WIDTH) or [""]
    head = (
        f"From: Mail server <postmaster@{notice.domain}>\r\n"
        f"To: {to}\r\n"
        f"Subject: {notice.subject}\r\n"
        f"Date: {trace.date_time(now)}\r\n"
        f"Message-ID: <{entry}@{notice.domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"  # RFC 3834 5: nobody's vacation reply is wanted
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
    )
    return (head + "\r\n".join(lines) + "\r\n").encode("utf-8", "backslashreplace")
