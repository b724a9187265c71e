"""What a script wants to be done with a message, in its own order.

Standards: RFC 5228 4, RFC 3894, RFC 5230, RFC 5232, RFC 5429, RFC 5435, RFC 8580.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Form:
    """The message as the script had made it when the action was taken. None: as it came.

    header: the whole header with its empty line; body: everything behind it.
    """

    header: bytes | None = None
    body: bytes | None = None


AS_IT_CAME = Form()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A mailbox to file into. The first of id, special use and name that there is counts.

    create: make it when it is missing (RFC 5490 3.2); special: with its backslash; id: RFC 9042.
    """

    name: str
    create: bool = False
    special: str = ""
    id: str = ""


INBOX = Target(name="INBOX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """File into INBOX. implicit: the script did not ask for it."""

    flags: tuple[str, ...] = ()
    form: Form = AS_IT_CAME
    implicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInto:
    target: Target
    flags: tuple[str, ...] = ()
    form: Form = AS_IT_CAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Send on to another address."""

    address: str
    form: Form = AS_IT_CAME


@dataclass(frozen=True, slots=True)
class Discard:
    """Nothing is kept that no other action keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Refuse the message. extended: ereject, whose text is for the protocol where it can be (RFC 5429 2.1)."""

    reason: str
    extended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacation:
    """Answer the sender, once in `seconds`. handle: what makes two answers the same (RFC 5230 4.2).

    mime: reason is a whole MIME entity (RFC 5230 4.5). subject, sender: "" when the script gives none.
    """

    reason: str
    seconds: int
    subject: str = ""
    sender: str = ""
    addresses: tuple[str, ...] = ()
    mime: bool = False
    handle: str = ""
    fcc: Target | None = None
    fcc_flags: tuple[str, ...] = ()
    form: Form = AS_IT_CAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell somebody. method: a URI; importance: "1" high, "2" normal, "3" low (RFC 5435 3)."""

    method: str
    message: str = ""
    sender: str = ""
    importance: str = "2"
    options: tuple[str, ...] = ()
    fcc: Target | None = None
    fcc_flags: tuple[str, ...] = ()
    form: Form = AS_IT_CAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """Keep in mind that this was seen (RFC 7352 3), for `seconds`. last: count them anew with each time it is seen."""

    key: str
    seconds: int
    last: bool = False


Action: TypeAlias = Keep | FileInto | Redirect | Discard | Reject | Vacation | Notify | Remember


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run gave. error: why it ended early, with its line; then the only action is to keep.

    spent: steps that were taken; out_of_budget: they, or the time, were too many.
    """

    actions: tuple[Action, ...] = field(default=())
    error: str = ""
    line: int = 0
    spent: int = 0
    out_of_budget: bool = False
