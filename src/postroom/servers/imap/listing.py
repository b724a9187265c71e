"""Which mailboxes a LIST or LSUB shows, and what it says about each: rules without IO.

Owns: nothing. Trusts: the hierarchy of mailbox.names; whether a name matches is asked of its matcher.
Standards: RFC 9051 6.3.9 and 7.3.1, RFC 5258, RFC 6154 5.1, RFC 3501 6.3.9 (LSUB).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from postroom.mailbox import names
from postroom.store.api import MailboxInfo

Matches = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Shown:
    """One LIST response. attributes as printed; childinfo: selection options that mailboxes below it meet."""

    name: str
    attributes: tuple[str, ...]
    childinfo: tuple[str, ...] = ()
    info: MailboxInfo | None = None


def select_mailboxes(
    everything: Sequence[names.Listed], matches: Matches, select: frozenset[str], returns: frozenset[str]
) -> Iterator[Shown]:
    """LIST: the names that match and meet the selection options (RFC 9051 6.3.9.1 to 6.3.9.3)."""
    criteria = tuple(option for option in ("SUBSCRIBED", "SPECIAL-USE") if option in select)
    met = {listed.name for listed in everything if _meets(listed.info, criteria)}
    recursive = "RECURSIVEMATCH" in select
    above = _levels_above(met) if recursive else frozenset()
    # RFC 9051 6.3.9.6: a name that does not meet the criteria shows only for children that are not shown themselves
    hidden = _levels_above(name for name in met if not matches(name)) if recursive else frozenset()
    for listed in everything:
        name = listed.name
        if matches(name) and (name in met or name in hidden):
            shown = attributes(listed, subscribed="SUBSCRIBED" in returns or "SUBSCRIBED" in select)
            yield Shown(name, shown, criteria if name in above else (), listed.info)


def attributes(listed: names.Listed, *, subscribed: bool) -> tuple[str, ...]:
    """RFC 9051 7.3.1; the special use is told without asking (RFC 6154 2 allows it and clients count on it)."""
    info = listed.info
    found = ["\\HasChildren" if listed.has_children else "\\HasNoChildren"]
    if info is None:
        found.insert(0, "\\NonExistent")
    else:
        if subscribed and info.subscribed:
            found.append("\\Subscribed")
        if info.special_use:
            found.append(info.special_use)
    return tuple(found)


def select_subscribed(everything: Sequence[names.Listed], matches: Matches, *, levels: bool) -> Iterator[Shown]:
    """LSUB: subscribed mailboxes that match.

    levels: the pattern ends in "%", so a level that matches only by what is below it is shown too, as \\Noselect
    (RFC 3501 6.3.9).
    """
    subscribed = {listed.name for listed in everything if listed.info and listed.info.subscribed}
    shown = subscribed | _levels_above(subscribed) if levels else subscribed
    for listed in everything:
        if listed.name in shown and matches(listed.name):
            yield Shown(listed.name, () if listed.name in subscribed else ("\\Noselect",), (), listed.info)


def _meets(info: MailboxInfo | None, criteria: Sequence[str]) -> bool:
    if info is None:
        return not criteria
    return ("SUBSCRIBED" not in criteria or info.subscribed) and (
        "SPECIAL-USE" not in criteria or bool(info.special_use)
    )


def _levels_above(some: Iterable[str]) -> frozenset[str]:
    return frozenset(level for name in some for level in names.parents(name))
