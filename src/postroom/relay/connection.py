"""One connection to a server: octets between a link and the client's end of SMTP.

Owns: the connection, from the greeting to QUIT, and its deadlines. One task uses it at a time; between two messages
it may lie idle, and says so when it ends by itself.
Trusts: nothing of the server; replies are bounded by `wire.smtp.client`.
Standards: RFC 5321 4.5.3.2 (how long to wait), RFC 3207.
On failure: events of `wire.smtp.client` with a reply made here; nothing raises.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from postroom.net.link import Link
from postroom.values.content import Content
from postroom.wire.smtp.client import ClientEvent, ClientSession
from postroom.wire.smtp.client_types import Failed, Finished, Outgoing, Reply, SendBody
from postroom.wire.smtp.events import StartTls

#: RFC 5321 4.5.3.2: seconds for the greeting, for MAIL and RCPT, for a block of the text, and for the last reply
GREETING, ENVELOPE, BLOCK, END = 300.0, 300.0, 180.0, 600.0
#: seconds in which all replies before the text must have come, however many recipients there are
_ALL_OF_ENVELOPE = 3600.0
_CHUNK = 64 * 1024


class Endpoint(Struct, frozen=True):
    """What a connection was made to and how: mail that asks for the same may use it.

    level: as TlsLevel; source: our own address, "" for any; login: at the server. proof: what its certificate had to
    fit; policy: who demanded that, for people ("DANE", "MTA-STS" or "").
    """

    host: str
    address: str
    port: int
    level: int
    source: str = ""
    login: str = ""
    proof: tuple[object, ...] = ()
    policy: str = ""


class Connection:
    """The driver of one outgoing link. born: monotonic seconds; messages: sent, or begun, here."""

    def __init__(self, link: Link, session: ClientSession, endpoint: Endpoint, born: float) -> None:
        self._link = link
        self._session = session
        self._events: deque[ClientEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._late = "the server did not greet in time"
        self._sending = False  # the text is under way
        self._patience = 0.0  # seconds for the next reply of the envelope
        self._envelope_ends = 0.0
        self._heard = 0
        self._gone: Callable[[Connection], None] | None = None  # while idle
        self.endpoint = endpoint
        self.born = born
        self.messages = 0
        self.handshake_failed = False
        self.fault: Exception | None = None  # why
        self.local = ""  # our own address

    # what the courier uses

    @property
    def usable(self) -> bool:
        """True while another message can be sent here."""
        return not self._session.closed and self._link.alive

    @property
    def capabilities(self) -> dict[str, str]:
        """What the server offered."""
        return self._session.capabilities

    @property
    def server(self) -> str:
        """What the server calls itself."""
        return self._session.server

    @property
    def tls(self) -> str:
        """The TLS version, "" in the clear."""
        return self._link.tls.version if self._link.tls is not None else ""

    @property
    def most_messages(self) -> int:
        """Messages the server takes on one connection (RFC 9422 MAILMAX); 0 when it does not say."""
        return self._session.limit("MAILMAX")

    async def opened(self) -> Failed | None:
        """Wait for the session to be open; the reason when it cannot be."""
        event = await self._next()
        self._link.deadline(0)
        return event if isinstance(event, Failed) else None

    async def send(self, message: Outgoing, content: Content, ending: Callable[[], None]) -> Finished:
        """Send one message. Raises OSError when the content cannot be read; the connection is aborted then.

        ending: called when the end of the text is about to leave: from here on the server may have the message.
        """
        self.messages += 1
        self._late = "the server did not answer in time"
        self._envelope_ends = asyncio.get_running_loop().time() + _ALL_OF_ENVELOPE
        self._patience = ENVELOPE
        self._link.deadline(ENVELOPE)
        event: ClientEvent | None = self._session.send(message)
        self._push()
        if event is None:
            event = await self._next()
        self._patience = 0.0
        if isinstance(event, SendBody):
            self._sending = True
            await self._send_body(content, ending)
            self._sending = False
            event = await self._next()
        self._link.deadline(0)
        if isinstance(event, Finished):
            return event
        self._link.abort()  # the server and we disagree on where we are
        finished = self._session.lost("the server's answers make no sense")
        assert isinstance(finished, Finished)
        return finished

    async def _send_body(self, content: Content, ending: Callable[[], None]) -> None:
        self._late = "the server did not take the text in time"
        session, link = self._session, self._link
        try:
            for start in range(0, content.size, _CHUNK):
                if session.closed:
                    return  # the reason is among the events
                link.deadline(BLOCK)
                session.body(content.read(start, start + _CHUNK))
                self._push()
                if start + _CHUNK < content.size:  # the last piece leaves together with the end
                    await link.drain()
        except ConnectionError:
            return  # `closed` has told the session
        except BaseException:
            link.abort()  # never the end of a message that is not whole
            raise
        if not session.closed:
            self._late = "the server did not confirm the message in time"
            link.deadline(END)
            ending()
            session.end_body()
            self._push()

    def rest(self, seconds: float, gone: Callable[[Connection], None]) -> None:
        """Nothing to send for now. gone: called once if the connection ends, or `seconds` pass, before `wake`."""
        self._gone = gone
        self._link.deadline(seconds)

    def wake(self) -> None:
        """There is something to send again."""
        self._gone = None
        self._link.deadline(0)

    def close(self) -> None:
        """Say goodbye."""
        self._gone = None
        if not self._session.closed:
            self._session.quit()
            self._push()
        self._link.close()

    def abort(self) -> None:
        """End it at once."""
        self._gone = None
        self._link.abort()

    async def _next(self) -> ClientEvent:
        while not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._events.popleft()

    # what the link calls

    def connected(self) -> None:
        """The connection stands, the greeting is next."""
        self.local = self._link.local[0]
        self._link.deadline(GREETING)

    def received(self, data: bytes) -> None:
        """Octets from the server."""
        session = self._session
        session.feed(data)
        while (event := session.next_event()) is not None:
            if isinstance(event, StartTls):
                self._push()
                self._link.start_tls()
                session.secured()  # what it wants sent waits for the handshake
            else:
                self._tell(event)
        self._push()
        if session.closed and self._sending:
            self._link.abort()  # the server has answered before the end: what is left of the text is not wanted
        elif session.closed:
            self._link.close()
            self._leave()
        elif self._patience and session.heard != self._heard:
            self._heard = session.heard
            left = self._envelope_ends - asyncio.get_running_loop().time()
            if left > 0:
                self._link.deadline(min(self._patience, left))

    def expired(self) -> None:
        """The server kept us waiting, or we have nothing for it."""
        if self._gone is not None:
            self._session.quit()
            self._push()
            self._link.close()
            self._leave()
            return
        self._lost(self._late)
        self._link.abort()

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone."""
        if self._session.secure and self._link.tls is None:
            self.handshake_failed, self.fault = True, reason
            self._lost(f"the TLS handshake failed ({reason})" if reason else "the TLS handshake failed")
        else:
            self._lost(f"the connection was lost ({reason})" if reason else "the server closed the connection")
        self._leave()

    def _leave(self) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            gone(self)

    def _lost(self, text: str) -> None:
        if not self._session.closed:
            self._tell(self._session.lost(text))

    def _tell(self, event: ClientEvent) -> None:
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _push(self) -> None:
        data = self._session.data_to_send()
        if data:
            self._link.send(data)


def unheard(reply: Reply, stage: str) -> bool:
    """True when the connection was lost before the text was complete, so that the message can be sent again."""
    return reply.code == 421 and stage != "end"
