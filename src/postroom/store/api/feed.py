"""The change feed's hints: who may want to look again.

A hint says that an account's mailbox reached a MODSEQ. It carries no data, so losing, merging or repeating one costs
only latency: whoever hears it reads the store again. One Feed lives in each process; the composition root carries
hints between processes by setting `forward` and calling `receive`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple


class Hint(NamedTuple):
    """Mailbox `mailbox` of `account` reached `modseq`; mailbox 0 means the list of mailboxes itself changed."""

    account: str
    mailbox: int
    modseq: int


class Subscription:
    """One who hears of an account, until it is called. mailbox: hints for others are not for it; -1: for none."""

    __slots__ = ("_account", "_feed", "callback", "mailbox")

    def __init__(self, feed: Feed, account: str, callback: Callable[[Hint], None], mailbox: int) -> None:
        self._feed = feed
        self._account = account
        self.callback: Final = callback
        self.mailbox: Final = mailbox

    def __call__(self) -> None:
        """Hear no more; once is enough."""
        self._feed.end(self._account, self)


class Feed:
    """Tells subscribers in this process, and through `forward` the other processes, that something changed.

    began, ended: called when an account gets its first subscriber here, and when the last one is gone.
    """

    __slots__ = ("_subscribers", "arrived", "began", "ended", "forward")

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[Subscription, None]] = {}
        self.forward: Callable[[Hint], None] = _nobody
        #: told of an account which messages are to be looked at for the index: how many were added, and whether any
        #: may hold files (message.parts.may_hold_files); none: the index itself. On the event loop, after the commit.
        #: A store that only one process has need not tell
        self.arrived: Callable[[str, int, bool], None] = _nobody_waits
        self.began: Callable[[str], None] = _nobody
        self.ended: Callable[[str], None] = _nobody

    def subscribe(self, account: str, callback: Callable[[Hint], None], mailbox: int = -1) -> Subscription:
        """Call back on every hint for the account, on the event loop, until what is returned is called.

        mailbox: only for this one and the list of mailboxes (hint.mailbox == 0). A callback must be quick and must not
        raise.
        """
        listeners = self._subscribers.get(account)
        if listeners is None:
            listeners = self._subscribers[account] = {}
            self.began(account)
        subscription = Subscription(self, account, callback, mailbox)
        listeners[subscription] = None
        return subscription

    def end(self, account: str, subscription: Subscription) -> None:
        """See Subscription."""
        listeners = self._subscribers.get(account)
        if listeners is not None and subscription in listeners:
            del listeners[subscription]
            if not listeners:
                del self._subscribers[account]
                self.ended(account)

    def publish(self, hint: Hint) -> None:
        """A commit of this process is durable: tell everyone. Called on the event loop."""
        self.receive(hint)
        self.forward(hint)

    def receive(self, hint: Hint) -> None:
        """A hint that came from another process: tell those who live here."""
        listeners = self._subscribers.get(hint.account)
        if listeners:
            mailbox = hint.mailbox
            for each in list(listeners):
                if each.mailbox in (mailbox, -1) or not mailbox:
                    each.callback(hint)

    def missed(self) -> None:
        """Hints from another process may have been lost: everybody looks again."""
        for account in list(self._subscribers):
            self.receive(Hint(account, 0, 0))


def _nobody(_what: object) -> None:
    """Where hints go while there is only one process."""


def _nobody_waits(_account: str, _messages: int, _files: bool) -> None:
    """Where news for the index go in a process that tells nobody."""
