"""What an account's mailboxes may hold, and how near they are."""

from __future__ import annotations

from dataclasses import dataclass

from postroom.mailbox.names import MAX_DEPTH
from postroom.message.index import DEFAULT, IndexLimits
from postroom.policy.allowance import Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxLimits:
    """message_size: octets (APPENDLIMIT); mailboxes: how many an account may have; depth: levels of a name.

    quota, quota_messages: octets and messages an account may hold, 0 = any; these, mailboxes and annotation_storage
    hold for accounts and domains that say nothing else (policy.allowance); grace: percent by which mail that comes in
    may go beyond the quota. index: see message.index; recover_days: how long what was deleted is kept;
    subscribe_shared: mailboxes of accounts without a log-in count as subscribed to.
    annotations: shared entries of a mailbox, and private ones of a log-in; annotation_size: octets of a value;
    annotation_storage: octets of all an account holds.
    """

    message_size: int = 50 * 1024 * 1024
    mailboxes: int = 10_000
    depth: int = MAX_DEPTH
    quota: int = 0
    quota_messages: int = 0
    grace: int = 0
    annotations: int = 100
    annotation_size: int = 32 * 1024
    annotation_storage: int = 1024 * 1024
    index: IndexLimits = DEFAULT
    recover_days: float = 30.0
    subscribe_shared: bool = True

    @property
    def defaults(self) -> Defaults:
        """What an account may hold that says nothing else."""
        return Defaults(
            octets=self.quota,
            messages=self.quota_messages,
            mailboxes=self.mailboxes,
            annotations=self.annotation_storage,
            grace=self.grace,
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """Octets and messages the account holds and may hold (0 = no limit; RFC 9208 5.1 and 5.2)."""

    used: int
    limit: int
    messages: int
    message_limit: int = 0

    def has_room(self, octets: int, messages: int) -> bool:
        """May the account hold so much more?"""
        fits = not self.limit or self.used + octets <= self.limit
        return fits and (not self.message_limit or self.messages + messages <= self.message_limit)
