"""Asks rspamd about messages, and tells its controller what people take for spam and what not.

Owns: kept connections to both. Trusts: its answers as far as `wire.rspamd` reads them.
Standards: none; rspamd's "HTTP protocol".
On failure: ScannerFailed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postroom.config import Place
from postroom.filter.health import ScannerFailed
from postroom.net.calls import Call, Calls
from postroom.net.https import FetchFailed, Response
from postroom.values.content import Content
from postroom.wire import rspamd
from postroom.wire.rspamd import Answer, BadAnswer, Question

_PIECE: Final = 64 * 1024
#: statuses of the controller for what it knows already, or cannot learn from
_NOTHING_NEW: Final = frozenset((204, 208))
_KNOWN: Final = b"already learned"  # with 404, by some versions


class Rspamd:
    """One rspamd. place: of a worker that checks; controller: that learns, None: nothing is learned there."""

    def __init__(
        self, place: Place, seconds: float, controller: Place | None = None, password: str = "", size: int = 1 << 62
    ) -> None:
        self._path = place.target.rstrip("/")
        self._calls = Calls(place.host, place.port, tls=place.tls)
        self._seconds = seconds
        self._size = size
        self._password = password
        self._learner: Calls | None = None
        self._learner_path = ""
        if controller is not None:
            self._learner = Calls(controller.host, controller.port, tls=controller.tls)
            self._learner_path = controller.target.rstrip("/")

    @property
    def learns(self) -> bool:
        """Is there a controller."""
        return self._learner is not None

    def close(self) -> None:
        """Let kept connections go."""
        self._calls.close()
        if self._learner is not None:
            self._learner.close()

    async def check(self, content: Content, question: Question) -> Answer | None:
        """What it says of a message; None when the message is too large to ask. Raises ScannerFailed."""
        if content.size > self._size:
            return None
        response = await self._ask(self._calls, self._path + rspamd.CHECK, rspamd.fields(question), content)
        if response.status != 200:
            raise ScannerFailed(f"rspamd answered {response.status}")
        try:
            return rspamd.read_answer(response.body)
        except BadAnswer as fault:
            raise ScannerFailed(f"rspamd: {fault}") from None

    async def teach(self, content: Content, spam: bool) -> bool:
        """Learn a message; False when it was known, or is too large. Raises ScannerFailed, OSError."""
        if self._learner is None or content.size > self._size:
            return False
        path = self._learner_path + (rspamd.LEARN_SPAM if spam else rspamd.LEARN_HAM)
        given = (("Password", self._password),) if self._password else ()
        response = await self._ask(self._learner, path, given, content)
        if response.status in _NOTHING_NEW or _KNOWN in response.body:
            return False
        if response.status != 200:
            raise ScannerFailed(f"rspamd has not learned it: {response.status} {_words(response)}")
        return True

    async def ping(self) -> None:
        """Raises ScannerFailed."""
        call = Call(path=self._path + rspamd.PING, method="GET", seconds=self._seconds, most=4096)
        try:
            response = await self._calls.ask(call)
        except FetchFailed as fault:
            raise ScannerFailed(f"rspamd: {fault}") from None
        if response.status != 200:
            raise ScannerFailed(f"rspamd answered {response.status}")

    async def _ask(self, calls: Calls, path: str, fields: tuple[tuple[str, str], ...], content: Content) -> Response:
        def pieces() -> Iterator[bytes]:
            for start in range(0, content.size, _PIECE):
                yield content.read(start, start + _PIECE)

        call = Call(
            path=path, fields=fields, body=pieces, size=content.size, seconds=self._seconds, most=rspamd.LARGEST
        )
        try:
            return await calls.ask(call)
        except FetchFailed as fault:
            raise ScannerFailed(f"rspamd: {fault}") from None


def _words(response: Response) -> str:
    text = response.body[:200].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
