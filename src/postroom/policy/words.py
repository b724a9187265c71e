"""What people are told about limits: one line for a mail program, and mails for users and administrators.

Owns: the wording. Lines are harmless ASCII and short enough for a reply; times are UTC, and said in hours too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.store.api import Per, Used

_SHOWN: Final = 120
_SPANS: Final = {3600: "an hour", 86400: "a day"}
_WHAT: Final = {
    Per.MESSAGE: ("send {} messages {} to other domains", "sent {}"),
    Per.RECIPIENT: ("send to {} recipients {} in other domains", "sent to {}"),
    Per.NEW: ("write to {} new recipients {} in other domains", "written to {}"),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail the server writes by itself. login: who gets it, "" for no user; domain: its administrator gets it too.

    to_admin: whether the administrator does.
    """

    login: str
    domain: str
    subject: str
    text: str
    to_admin: bool = True


def shown(name: str) -> str:
    """A name as a reply can hold it: ASCII, not too long."""
    text = name.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def span(seconds: float) -> str:
    """How long: "12 minutes", "5 hours"; never less than it is."""
    if seconds <= 90:
        return f"{max(math.ceil(seconds), 1)} seconds"
    minutes = math.ceil(seconds / 60)
    if minutes <= 90:
        return f"{minutes} minutes"
    hours = math.ceil(minutes / 60)
    return f"{hours} hours" if hours <= 36 else f"{math.ceil(hours / 24)} days"


def moment(at: float, now: float) -> str:
    """When: "14:05 UTC" today, else with its date."""
    day = "%H:%M UTC" if time.gmtime(at)[:3] == time.gmtime(now)[:3] else "%Y-%m-%d %H:%M UTC"
    return time.strftime(day, time.gmtime(math.ceil(at / 60) * 60))


def limit_of(used: Used, name: str) -> tuple[str, str]:
    """("ann@x.test may send 500 messages an hour to other domains", "sent 500")."""
    charge = used.charge
    may, has = _WHAT[charge.per]
    often = _SPANS.get(charge.window, f"in {span(charge.window)}")
    return f"{shown(name)} may {may.format(charge.limit, often)}", has.format(used.used)


def refusal(used: Used, name: str, now: float) -> str:
    """Why a message may not leave now: the limit, how much was used, and when it ends."""
    may, has = limit_of(used, name)
    if math.isinf(used.frees):
        return f"Sending limit: {may}; this message is for {used.asked} at once"
    return f"Sending limit: {may} and has {has}; try again at {moment(used.frees, now)} (in {span(used.frees - now)})"


def near(used: Used, name: str, login: str) -> Notice:
    """A limit is nearly used up."""
    may, has = limit_of(used, name)
    share = used.used * 100 // used.charge.limit
    text = (
        f"{may} and has {has} ({share} %).\n\n"
        "When the limit is reached, further mail to other domains is refused for a while; the mail program shows"
        " when it can be sent again. Mail inside is not limited, and nothing that was accepted is lost.\n\n"
        "Did you expect this? If not, somebody else may be using the account: change its password.\n"
        "If more mail is needed, the administrator can lift the limit for an hour:\n\n"
        f"    postroom limit lift {shown(name)}\n"
    )
    return Notice(login, login.rpartition("@")[2], f"Sending limit of {shown(name)}: {share} % used", text)


def frozen_text(reasons: Sequence[str]) -> str:
    """What a mail program is told when its account is frozen."""
    because = f" ({shown(reasons[0])})" if reasons else ""
    return (
        f"Sending from this account is stopped: somebody else may be using it{because}. "
        "Change the password and ask your administrator; reading mail still works"
    )


def frozen(login: str, reasons: Sequence[str], held: int) -> Notice:
    """An account was frozen."""
    listed = "\n".join(f"  - {reason}" for reason in reasons)
    waiting = f"{held} of its messages that waited to be sent are held.\n\n" if held else ""
    text = (
        f"The account {shown(login)} behaves as if somebody else were using it:\n\n{listed}\n\n"
        "So it may not send mail for now. Reading mail still works.\n\n"
        f"{waiting}"
        "What to do: change the password (and look for other people's rules and devices). Then the administrator lets"
        " it send again:\n\n"
        f"    postroom limit show {shown(login)}\n"
        f"    postroom user passwd {shown(login)}\n"
        f"    postroom limit unfreeze {shown(login)}\n"
    )
    return Notice(login, login.rpartition("@")[2], f"Sending from {shown(login)} is stopped", text)
