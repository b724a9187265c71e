"""What the log-in of an account in memory is subscribed to, and what it is not although it would be by itself.

Owns: the names of one account. Standards: RFC 9051 6.3.7.
"""

from __future__ import annotations

from collections.abc import Iterable


class Subscriptions:
    """Names, whether there are such mailboxes or not."""

    __slots__ = ("refused", "wanted")

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        self.refused: set[str] = set()

    def choose(self, name: str, wanted: bool, *, remember: bool) -> bool:
        """As AccountStore.subscribe; whether it changed anything."""
        before = (name in self.wanted, name in self.refused)
        (self.wanted.add if wanted else self.wanted.discard)(name)
        (self.refused.add if remember and not wanted else self.refused.discard)(name)
        return before != (name in self.wanted, name in self.refused)

    def rename(self, moved: Iterable[tuple[str, str]]) -> None:
        """Mailboxes have new names: (old, new)."""
        taken = [(old, new) for old, new in moved if old in self.wanted]
        self.wanted.difference_update(old for old, _ in taken)
        self.wanted.update(new for _, new in taken)
