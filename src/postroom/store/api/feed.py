"""The change feed's hints: who may want to look again.

A hint says that an account's mailbox reached a MODSEQ. It carries no data, so losing, merging or repeating one costs
only latency: whoever hears it reads the store again. One Feed lives in each process; the composition root carries
hints between processes by setting `forward` and calling `receive`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Hint(NamedTuple):
    """Mailbox `mailbox` of `account` reached `modseq`; mailbox 0 means the list of mailboxes itself changed."""

    account: str
    mailbox: int
    modseq: int


class Feed:
    """Tells subscribers in this process, and through `forward` the other processes, that something changed.

    began, ended: called when an account gets its first subscriber here, and when the last one is gone.
    """

    __slots__ = ("_subscribers", "arrived", "began", "ended", "forward")

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[int, Callable[[Hint], None]]] = {}
        self.forward: Callable[[Hint], None] = _nobody
        #: told of an account which messages are to be looked at for the index: how many were added, and whether any
        #: may hold files (message.parts.may_hold_files); none: the index itself. On the event loop, after the commit.
        #: A store that only one process has need not tell
        self.arrived: Callable[[str, int, bool], None] = _nobody_waits
        self.began: Callable[[str], None] = _nobody
        self.ended: Callable[[str], None] = _nobody

    def subscribe(self, account: str, callback: Callable[[Hint], None]) -> Callable[[], None]:
        """Call back on every hint for the account, on the event loop; the returned function ends it.

        A callback must be quick and must not raise.
        """
        listeners = self._subscribers.get(account)
        if listeners is None:
            listeners = self._subscribers[account] = {}
            self.began(account)
        key = id(listeners) ^ id(callback) ^ len(listeners)
        while key in listeners:
            key += 1
        listeners[key] = callback

        def end() -> None:
            listeners.pop(key, None)
            if not listeners and self._subscribers.get(account) is listeners:
                del self._subscribers[account]
                self.ended(account)

        return end

    def publish(self, hint: Hint) -> None:
        """A commit of this process is durable: tell everyone. Called on the event loop."""
        self.receive(hint)
        self.forward(hint)

    def receive(self, hint: Hint) -> None:
        """A hint that came from another process: tell those who live here."""
        listeners = self._subscribers.get(hint.account)
        if listeners:
            for callback in list(listeners.values()):
                callback(hint)

    def missed(self) -> None:
        """Hints from another process may have been lost: everybody looks again."""
        for account in list(self._subscribers):
            self.receive(Hint(account, 0, 0))


def _nobody(_what: object) -> None:
    """Where hints go while there is only one process."""


def _nobody_waits(_account: str, _messages: int, _files: bool) -> None:
    """Where news for the index go in a process that tells nobody."""
