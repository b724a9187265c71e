"""What a script can ask, and who answers: the environment of one message, and Protocols of the world around it.

Everything here is asked while the script runs, so it must be at hand: answers come at once.
Standards: RFC 5183 4 (environment), RFC 5235 (scores), RFC 5490, RFC 8579, RFC 9042 (mailboxes), RFC 7352 (duplicates),
RFC 6609 (include).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is known of a message besides its octets.

    sender, recipient: of the envelope, sender "" for <>; now: Unix seconds; zone: seconds east of Greenwich of the
    user; items: of the environment test, by lower-case name; separators: characters that begin the detail of an
    address, "" for none; name: the local part of the recipient without its detail, "" when nobody knows.
    spam: the score in percent of certainty, None when nobody looked; virus: 0 to 5 as RFC 5235 3.3 has it.
    imap: something was done by IMAP with a message that is kept already (RFC 6785); flags: those it has.
    """

    sender: str = ""
    recipient: str = ""
    now: float = 0.0
    zone: int = 0
    items: Mapping[str, str] = field(default_factory=dict)
    separators: str = "+"
    name: str = ""
    spam: float | None = None
    virus: int = 0
    imap: bool = False
    flags: tuple[str, ...] = ()


class World(Protocol):
    """The user's account as a script sees it."""

    def mailbox_exists(self, name: str) -> bool:
        """Could mail be filed there."""
        ...

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        """The name of the mailbox with this object id."""
        ...

    def special_use(self, attribute: str) -> str | None:
        """The name of the mailbox with this attribute, such as "\\Junk"."""
        ...

    def special_uses(self, name: str) -> tuple[str, ...]:
        """The attributes of a mailbox."""
        ...

    def metadata(self, mailbox: str | None, entry: str) -> str | None:
        """The value of an annotation of a mailbox, or with None of the server; None when there is none."""
        ...

    def seen(self, key: str) -> bool:
        """Is this remembered by `duplicate`."""
        ...


class Library(Protocol):
    """Where included scripts come from, when a script is compiled."""

    def script(self, name: str, personal: bool) -> str | None:
        """The text of a script of the user, or of the site; None when there is none."""
        ...


class EmptyWorld:
    """An account with an INBOX and nothing else."""

    def mailbox_exists(self, name: str) -> bool:
        return name.upper() == "INBOX"

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        return None

    def special_use(self, attribute: str) -> str | None:
        return None

    def special_uses(self, name: str) -> tuple[str, ...]:
        return ()

    def metadata(self, mailbox: str | None, entry: str) -> str | None:
        return None

    def seen(self, key: str) -> bool:
        return False


class NoLibrary:
    """No script to include."""

    def script(self, name: str, personal: bool) -> str | None:
        return None
