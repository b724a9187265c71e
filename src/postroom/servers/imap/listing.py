"""Which mailboxes a LIST or LSUB shows, and what it says about each: rules without IO.

Owns: nothing. Trusts: the hierarchy of mailbox.names; whether a name matches is asked of its matcher.
Standards: RFC 9051 6.3.9 and 7.3.1, RFC 5258, RFC 6154 5.1, RFC 3501 6.3.9 (LSUB).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from postroom.mailbox import names
from postroom.store.api import MailboxInfo

Matches = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Known:
    """All a LIST chooses from: the hierarchy of mailboxes, and the names the log-in is subscribed to."""

    listed: Sequence[names.Listed]
    subscribed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """One LIST response. attributes as printed; childinfo: selection options that mailboxes below it meet.

    foreign: as in names.Listed; met: it is shown for itself, not only for what is below it.
    """

    name: str
    attributes: tuple[str, ...]
    childinfo: tuple[str, ...] = ()
    info: MailboxInfo | None = None
    foreign: bool = False
    met: bool = True


def select_mailboxes(
    known: Known, matches: Matches, select: frozenset[str], returns: frozenset[str]
) -> Iterator[Shown]:
    """LIST: the names that match and meet the selection options (RFC 9051 6.3.9.1 to 6.3.9.3)."""
    criteria = tuple(option for option in ("SUBSCRIBED", "SPECIAL-USE") if option in select)
    recursive = "RECURSIVEMATCH" in select
    everything = known.listed
    if "SUBSCRIBED" in select:
        everything = _with_subscribed(known, levels=recursive)
    met = {listed.name for listed in everything if _meets(listed, known.subscribed, criteria)}
    above = _levels_above(met) if recursive else frozenset()
    # RFC 9051 6.3.9.6: a name that does not meet the criteria shows only for children that are not shown themselves
    hidden = _levels_above(name for name in met if not matches(name)) if recursive else frozenset()
    tell = "SUBSCRIBED" in returns or "SUBSCRIBED" in select
    for listed in everything:
        name = listed.name
        if matches(name) and (name in met or name in hidden):
            shown = attributes(listed, subscribed=tell and name in known.subscribed)
            yield Shown(name, shown, criteria if name in above else (), listed.info, listed.foreign, name in met)


def _with_subscribed(known: Known, *, levels: bool) -> Sequence[names.Listed]:
    """With the names that are subscribed to but not there (RFC 9051 6.3.9.1); levels: and with those above them."""
    present = {listed.name for listed in known.listed}
    missing = set(known.subscribed)
    if levels:
        missing |= _levels_above(missing)
    missing -= present
    if not missing:
        return known.listed
    absent = [names.Listed(name, None, has_children=False) for name in missing]
    return sorted([*known.listed, *absent], key=lambda listed: names.place(listed.name))


def attributes(listed: names.Listed, *, subscribed: bool) -> tuple[str, ...]:
    """RFC 9051 7.3.1; the special use is told without asking (RFC 6154 2 allows it and clients count on it)."""
    found = ["\\HasChildren" if listed.has_children else "\\HasNoChildren"]
    if listed.info is None:
        found.insert(0, "\\Noselect" if listed.root else "\\NonExistent")
    if subscribed:
        found.append("\\Subscribed")
    if listed.info is not None and listed.info.special_use:
        found.append(listed.info.special_use)
    return tuple(found)


def select_subscribed(subscribed: Collection[str], matches: Matches, *, levels: bool) -> Iterator[Shown]:
    """LSUB: subscribed names that match, also of mailboxes that are not there (RFC 3501 6.3.9).

    levels: the pattern ends in "%", so a level that matches only by what is below it is shown too, as \\Noselect.
    """
    shown = {*subscribed, *_levels_above(subscribed)} if levels else subscribed
    for name in sorted(shown, key=names.place):
        if matches(name):
            yield Shown(name, () if name in subscribed else ("\\Noselect",))


def _meets(listed: names.Listed, subscribed: frozenset[str], criteria: Sequence[str]) -> bool:
    if "SUBSCRIBED" in criteria and listed.name not in subscribed:
        return False
    return "SPECIAL-USE" not in criteria or (listed.info is not None and bool(listed.info.special_use))


def _levels_above(some: Iterable[str]) -> frozenset[str]:
    return frozenset(level for name in some for level in names.parents(name))
