"""NOTIFY: which events of which mailboxes a client wants to hear of at any time (RFC 5465 8).

What the grammar leaves to the text of the RFC is checked here too: events that only go together, events that make no
sense for the selected mailbox. Names of events nobody knows are kept: they are answered with NO, not BAD (3.1).
Trust: the text is hostile; its length is bounded.
On failure: BadSyntax.
"""

from __future__ import annotations

from typing import Final

from postroom.wire.imap import fetch
from postroom.wire.imap.commands import EventGroup, Item, Notify
from postroom.wire.imap.scanner import Scanner

#: RFC 5465 8, as printed in BADEVENT
MESSAGE_EVENTS: Final = ("MessageNew", "MessageExpunge", "FlagChange", "AnnotationChange")
OTHER_EVENTS: Final = ("MailboxName", "SubscriptionChange", "MailboxMetadataChange", "ServerMetadataChange")

_PRINTED: Final = {name.upper(): name for name in (*MESSAGE_EVENTS, *OTHER_EVENTS)}
_SELECTED: Final = ("SELECTED", "SELECTED-DELAYED")
_NAMED: Final = ("SUBTREE", "SUBTREE-ONE", "MAILBOXES")  # the second: RFC 7377 4
_FILTERS: Final = (*_SELECTED, *_NAMED, "INBOXES", "PERSONAL", "SUBSCRIBED")
_BOTH: Final = {"MessageNew", "MessageExpunge"}
_MAX_GROUPS: Final = 100
_MAX_EVENTS: Final = 20
_MAX_ITEMS: Final = 100


def notify(scanner: Scanner) -> Notify:
    """SP ("NONE" / "SET" [SP "STATUS"] SP event-group *(SP event-group))."""
    scanner.space()
    word = scanner.keyword()
    if word == "NONE":
        return Notify(None)
    if word != "SET":
        raise scanner.fail("SET or NONE")
    scanner.space()
    status = not scanner.peek(b"(")
    if status:
        if scanner.keyword() != "STATUS":
            raise scanner.fail("STATUS or an event group")
        scanner.space()
    groups = [_group(scanner)]
    while not scanner.at_end():
        scanner.space()
        groups.append(_group(scanner))
        if len(groups) > _MAX_GROUPS:
            raise scanner.fail("fewer event groups")
    if sum(group.filter in _SELECTED for group in groups) > 1:
        raise scanner.fail("one SELECTED or SELECTED-DELAYED")  # RFC 5465 6.1
    return Notify(tuple(groups), status)


def _group(scanner: Scanner) -> EventGroup:
    """ "(" filter-mailboxes SP events ")"."""
    scanner.expect(b"(")
    chosen = scanner.keyword()
    if chosen not in _FILTERS:
        raise scanner.fail("kind of mailboxes")
    names: tuple[str, ...] = ()
    scanner.space()
    if chosen in _NAMED:
        names = mailboxes(scanner)
        scanner.space()
    events, items = _events(scanner)
    scanner.expect(b")")
    _check(scanner, chosen, events, items)
    return EventGroup(chosen, names, events, items)


def mailboxes(scanner: Scanner) -> tuple[str, ...]:
    """mailbox / "(" mailbox *(SP mailbox) ")"; no wildcards (RFC 5465 6.6)."""
    if not scanner.accept(b"("):
        return (scanner.mailbox(),)
    names = [scanner.mailbox()]
    while not scanner.accept(b")"):
        scanner.space()
        names.append(scanner.mailbox())
    return tuple(dict.fromkeys(names))


def _events(scanner: Scanner) -> tuple[frozenset[str], tuple[Item, ...]]:
    """ "NONE" / "(" event *(SP event) ")"; MessageNew may say what to fetch."""
    if not scanner.accept(b"("):
        if scanner.keyword() != "NONE":
            raise scanner.fail("NONE or events in parentheses")
        return frozenset(), ()
    events: set[str] = set()
    items: tuple[Item, ...] = ()
    while True:
        word = scanner.keyword()
        events.add(_PRINTED.get(word, word))
        if len(events) > _MAX_EVENTS:
            raise scanner.fail("fewer events")
        if scanner.accept(b")"):
            return frozenset(events), items
        scanner.space()
        if word == "MESSAGENEW" and scanner.accept(b"("):
            items = _items(scanner)
            if scanner.accept(b")"):
                return frozenset(events), items
            scanner.space()


def _items(scanner: Scanner) -> tuple[Item, ...]:
    """fetch-att *(SP fetch-att) ")", each once; what would set \\Seen does not (RFC 5465 5.2)."""
    items = {fetch.item(scanner): None}
    while not scanner.accept(b")"):
        scanner.space()
        items[fetch.item(scanner)] = None
        if len(items) > _MAX_ITEMS:
            raise scanner.fail("fewer items")
    return tuple(items)


def _check(scanner: Scanner, chosen: str, events: frozenset[str], items: tuple[Item, ...]) -> None:
    """RFC 5465 5, 6.1 and 8: what must be asked for together, and what only of the selected mailbox."""
    if events & set(MESSAGE_EVENTS) and not events >= _BOTH:
        raise scanner.fail("MessageNew and MessageExpunge together")
    if chosen in _SELECTED:
        if events & set(OTHER_EVENTS):
            raise scanner.fail("only events of messages for the selected mailbox")
    elif items:
        raise scanner.fail("no items to fetch but for the selected mailbox")
