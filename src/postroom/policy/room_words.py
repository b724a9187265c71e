"""What people are told when a mailbox, or all of a domain, is nearly full.

Owns: the wording. Trusts: names are those of our own accounts and domains.
"""

from __future__ import annotations

from typing import Final

from postroom.policy.allowance import Allowance
from postroom.policy.words import Notice, shown
from postroom.store.api import Held, Together

_FULL: Final = {
    "defer": "New mail then waits at its sender's server for some days, and goes back if there is no room by then.",
    "reject": "New mail then goes back to its sender at once.",
}


def size(octets: int) -> str:
    """ "1.5 GiB"."""
    count = float(octets)
    for unit in ("octets", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{octets} octets" if unit == "octets" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _used(octets: int, most_octets: int, messages: int, most_messages: int) -> str:
    room = f"{size(octets)} of {size(most_octets)}" if most_octets else size(octets)
    count = f"{messages} of {most_messages} messages" if most_messages else f"{messages} messages"
    return f"{room} in {count}"


def account(login: str, held: Held, may: Allowance, when_full: str, *, to_admin: bool) -> Notice:
    """An account passed a threshold."""
    name = shown(login)
    used = _used(held.octets, may.octets, held.messages, may.messages)
    text = (
        f"The mailboxes of {name} are {held.percent} % full: {used}.\n\n"
        f"When they are full, nothing can be added to them. {_FULL[when_full]}\n\n"
        "What makes room: deleting mail with large attachments and old mail, and emptying Trash and Junk. What is only"
        " marked as deleted still counts until the mail program removes it (expunge, compact).\n\n"
        "If more room is needed, the administrator can give it:\n\n"
        f"    postroom user set {name} --quota SIZE\n"
    )
    subject = f"{name}: mailboxes {held.percent} % full"
    return Notice(login, login.rpartition("@")[2], subject, text, to_admin=to_admin)


def domain(name: str, percent: int, held: Together, may: Allowance) -> Notice:
    """All accounts of a domain together passed a threshold: its administrator is told."""
    used = _used(held.octets, may.domain_octets, held.messages, may.domain_messages)
    text = (
        f"The {held.accounts} accounts of {shown(name)} together hold {percent} % of what they may: {used}.\n\n"
        "When all of it is used, nothing can be added to any of them, and new mail is treated as for an account that"
        " is full.\n\n"
        "Who holds most, and what gives more room:\n\n"
        f"    postroom user list --domain {shown(name)}\n"
        f"    postroom domain set {shown(name)} --quota SIZE\n"
    )
    return Notice("", name, f"{shown(name)}: {percent} % of its room is used", text)
