"""Annotations: what METADATA says about a mailbox, or about the server (RFC 5464).

An entry is "/shared/NAME" or "/private/NAME"; private ones are a log-in's own, also on mailboxes of others. What the
client calls the server's private entries lie in the log-in's own account; the server's shared ones are the
administrator's, given to `read`.
Owns: the rules about entries: which are computed, which read-only, how many, how long.
Trusts: entries have the form of wire.imap.metadata; that the log-in may see the mailbox was checked by the caller.
Standards: RFC 5464 3 and 4, RFC 6154 4 (/private/specialuse).
On failure: NoPermission, AnnotationTooLong, AnnotationReadOnly, SpecialUseRefused, NotAllowed; of the store
TooManyAnnotations and OverQuota.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.mailbox.errors import AnnotationReadOnly, AnnotationTooLong, NoPermission, NotAllowed
from postroom.mailbox.happenings import ENTRY as SCRIPT
from postroom.mailbox.names import INBOX
from postroom.mailbox.places import Place, refusal
from postroom.mailbox.service import Account
from postroom.mailbox.special_use import special_use
from postroom.store.api import AccountStore, Annotation, AnnotationLimits, NewAnnotation
from postroom.values import rights as right

#: an entry and its value
Value = tuple[str, bytes | None]

_NO_LIMIT: Final = 1 << 62
_SPECIAL_USE: Final = "/private/specialuse"


#: RFC 5464 3.3: who has "l" and one of these may read and write what is said about a mailbox
_ANY: Final = right.READ | right.SEEN | right.WRITE | right.INSERT | right.POST


@dataclass(frozen=True, slots=True)
class Subject:
    """What is annotated, and for whom. place None: the server; me: the log-in's own account."""

    place: Place | None
    me: Account

    @property
    def account(self) -> Account:
        """Where the entries lie."""
        return self.place.account if self.place is not None else self.me

    @property
    def store(self) -> AccountStore:
        """Its store."""
        return self.account.store

    @property
    def mailbox(self) -> int:
        """Its id in the store."""
        return self.place.id if self.place is not None else 0

    @property
    def name(self) -> str:
        """As the log-in calls it."""
        return self.place.name if self.place is not None else ""

    @property
    def own(self) -> bool:
        """Does it lie in the log-in's account?"""
        return self.place is None or self.place.account.id == self.me.id

    @property
    def allowed(self) -> bool:
        """May the log-in read and write its entries?"""
        return self.place is None or bool(self.place.rights & right.LOOKUP and self.place.rights & _ANY)


async def read(subject: Subject, wanted: Sequence[str], depth: int = 0, server: Mapping[str, str] = {}) -> list[Value]:
    """The entries asked for and those down to `depth` levels below them, each once.

    One that has no value is given with None; with a depth only where there is nothing else to say about it.
    server: the server's shared entries by their whole name in lower case. Raises NoPermission, NoSuchMailbox.
    """
    _require(subject)
    held = {printed(one): one.value for one in await subject.store.annotations(subject.mailbox, subject.me.id)}
    if subject.place is None:
        held = {entry: value for entry, value in held.items() if not entry.startswith("/shared/")}
        held |= {entry: text.encode() for entry, text in server.items() if text}
    elif subject.own and subject.place.info.special_use:
        held[_SPECIAL_USE] = subject.place.info.special_use.encode()
    folded = {entry.lower(): entry for entry in held}
    found: dict[str, Value] = {}
    for entry in wanted:
        key = entry.lower()
        below = sorted(_below(key, folded, depth))
        if key in folded:
            found[key] = (entry, held[folded[key]])
        elif not below:
            found.setdefault(key, (entry, None))
        for name in below:
            found.setdefault(name, (folded[name], held[folded[name]]))
    return list(found.values())


def _require(subject: Subject) -> None:
    if subject.place is not None and not subject.allowed:
        raise refusal(subject.place.rights, subject.name)


def _below(entry: str, names: Iterable[str], depth: int) -> list[str]:
    """The names below an entry, at most `depth` levels."""
    if not depth:
        return []
    prefix = entry + "/"
    return [name for name in names if name.startswith(prefix) and name.count("/", len(prefix)) < depth]


def printed(annotation: Annotation) -> str:
    """The whole name of an entry."""
    return f"{'/private' if annotation.login else '/shared'}/{annotation.name}"


async def write(subject: Subject, values: Sequence[Value]) -> int:
    """Set and remove entries, all or none; the MODSEQ of the change, 0 when only a special use was changed."""
    _require(subject)
    limits = subject.me.limits
    changes, use = [], None
    for entry, value in values:
        if value is not None and len(value) > limits.annotation_size:
            raise AnnotationTooLong(f"A value may have at most {limits.annotation_size} octets")
        if entry.lower() == _SPECIAL_USE and subject.place is not None:
            use = await _checked_use(subject, subject.place, value)
            continue
        change = _change(subject, entry, value)
        await _check_script(subject, change)
        changes.append(change)
    modseq = 0
    if changes:
        octets = (await subject.account.allowance()).annotations
        most = AnnotationLimits(count=limits.annotations, octets=octets or _NO_LIMIT)
        modseq = await subject.store.annotate(subject.mailbox, changes, most)
    if use is not None:
        await subject.store.specialize(subject.mailbox, use)
    return modseq


def _change(subject: Subject, entry: str, value: bytes | None) -> NewAnnotation:
    scope, _, name = entry[1:].partition("/")
    if scope.lower() == "private":
        return NewAnnotation(subject.me.id, name, value)
    if subject.place is None:
        raise AnnotationReadOnly("Shared entries of the server are set by the administrator")
    return NewAnnotation("", name, value)


async def _check_script(subject: Subject, change: NewAnnotation) -> None:
    """RFC 6785 2.3.1: which of the owner's scripts is run is for the owner to say, and for those who administer.

    The account is told first that there may be one. Raises NoPermission, StoreError.
    """
    if change.login or change.name.lower() != SCRIPT or subject.place is None:
        return
    if not (subject.own or subject.place.rights & right.ADMINISTER):
        raise NoPermission("Which script runs here is for the owner of the mailbox to say")
    if change.value and subject.account.happenings is not None:
        await subject.account.happenings.expect(subject.account.id)


async def _checked_use(subject: Subject, place: Place, value: bytes | None) -> str:
    """RFC 6154 4: under the rules of CREATE. Raises SpecialUseRefused, NotAllowed."""
    if not subject.own:
        raise NotAllowed("The special use of a mailbox is its owner's to give")
    if place.name == INBOX:
        raise NotAllowed("INBOX has no special use")
    uses = (value or b"").decode("ascii", "replace").split()
    others = [other for other in await subject.store.mailboxes() if other.id != place.id]
    return special_use(uses, others)
