"""What a client wants to hear of, by NOTIFY: rules without IO (RFC 5465 5 and 6).

Several groups may name one mailbox: what they ask for adds up, but a group that says NONE takes its mailboxes out of
all others. "inboxes" means "personal": a script of the owner may deliver anywhere (RFC 5465 6.3).
Owns: nothing. Trusts: names are normalised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from postroom.mailbox import names
from postroom.wire.imap.commands import EventGroup, Item

MESSAGE_NEW: Final = "MessageNew"
MESSAGE_EXPUNGE: Final = "MessageExpunge"
FLAG_CHANGE: Final = "FlagChange"
MAILBOX_NAME: Final = "MailboxName"
SUBSCRIPTION_CHANGE: Final = "SubscriptionChange"
MAILBOX_METADATA_CHANGE: Final = "MailboxMetadataChange"
SERVER_METADATA_CHANGE: Final = "ServerMetadataChange"

#: what we can tell of, as BADEVENT lists it
SUPPORTED: Final = (
    MESSAGE_NEW,
    MESSAGE_EXPUNGE,
    FLAG_CHANGE,
    MAILBOX_NAME,
    SUBSCRIPTION_CHANGE,
    MAILBOX_METADATA_CHANGE,
    SERVER_METADATA_CHANGE,
)
#: events of annotations
METADATA: Final = frozenset((MAILBOX_METADATA_CHANGE, SERVER_METADATA_CHANGE))
#: events of messages; a group has the first two or none of them
MESSAGES: Final = frozenset((MESSAGE_NEW, MESSAGE_EXPUNGE, FLAG_CHANGE))
NOTHING: Final[frozenset[str]] = frozenset()

_OWN: Final = frozenset(("INBOXES", "PERSONAL"))


class _Rule:
    """One group that is not about the selected mailbox."""

    __slots__ = ("_deep", "_mailboxes", "_own", "_subscribed", "_subtrees", "events")

    def __init__(self, group: EventGroup) -> None:
        named = [names.normalize(name) for name in group.names]
        self.events: Final = group.events
        self._own = group.filter in _OWN
        self._subscribed = group.filter == "SUBSCRIBED"
        self._mailboxes = frozenset(named)
        self._deep = group.filter == "SUBTREE"
        below = self._deep or group.filter == "SUBTREE-ONE"
        self._subtrees = tuple([name + names.DELIMITER for name in named]) if below else ()

    def covers(self, name: str, *, own: bool, subscribed: bool) -> bool:
        """The group means the mailbox of this name."""
        if self._own:
            return own
        if self._subscribed:
            return subscribed
        if name in self._mailboxes or (self._deep and name.startswith(self._subtrees)):
            return True
        return bool(self._subtrees) and name[: name.rfind(names.DELIMITER) + 1] in self._subtrees


class Interests:
    """All groups of a NOTIFY SET; none after NOTIFY NONE."""

    __slots__ = ("_rules", "_silent", "all", "delayed", "items", "named", "selected", "subscribed")

    def __init__(self, groups: Sequence[EventGroup] = ()) -> None:
        self.selected = NOTHING  # events of the selected mailbox
        self.delayed = False  # its expunges wait for a command (RFC 5465 6.1.2)
        self.items: tuple[Item, ...] = ()  # of its new messages
        rules = []
        for group in groups:
            if group.filter in ("SELECTED", "SELECTED-DELAYED"):
                self.selected, self.items = group.events, group.items
                self.delayed = group.filter == "SELECTED-DELAYED"
            else:
                rules.append(group)
        self._rules = [_Rule(group) for group in rules if group.events]
        self._silent = [_Rule(group) for group in rules if not group.events]
        self.all = NOTHING.union(*[rule.events for rule in self._rules])
        # where mailboxes of others may be meant
        self.named = tuple(names.normalize(name) for group in rules if group.events for name in group.names)
        self.subscribed = any(group.filter == "SUBSCRIBED" for group in rules)

    def __bool__(self) -> bool:
        """There is something to hear of besides the selected mailbox."""
        return bool(self._rules)

    def of(self, name: str, *, own: bool, subscribed: bool) -> frozenset[str]:
        """The events of the mailbox of this name; own: it is in the login's own account."""
        found = NOTHING
        for rule in self._rules:
            if rule.covers(name, own=own, subscribed=subscribed):
                found |= rule.events
        if found and any(rule.covers(name, own=own, subscribed=subscribed) for rule in self._silent):
            return NOTHING
        return found


def unsupported(groups: Iterable[EventGroup]) -> bool:
    """Some group asks for what we cannot tell of."""
    return any(not group.events <= frozenset(SUPPORTED) for group in groups)


def outermost(renamed: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Renames (old, new) without those that only followed the mailbox above (RFC 5465 5.4)."""
    known = dict(renamed)
    return [(old, new) for old, new in known.items() if not _followed(old, new, known)]


def _followed(old: str, new: str, known: dict[str, str]) -> bool:
    return any(known.get(parent, "") + old[len(parent) :] == new for parent in names.parents(old) if parent in known)
