"""The protocol of rspamd: the fields of a question about a message, and what it answers.

Questions are HTTP requests with the message as their body; who sent it to whom stands in fields of the request.
Standards: none; rspamd's "HTTP protocol" (checkv2, learnspam, learnham).
Pure. Trusts nothing of either side. On failure: BadAnswer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import msgspec

CHECK: Final = "/checkv2"
LEARN_SPAM: Final = "/learnspam"
LEARN_HAM: Final = "/learnham"
PING: Final = "/ping"
#: octets of an answer
LARGEST: Final = 1024 * 1024
#: recipients that are named
MOST_RECIPIENTS: Final = 100
_LONGEST: Final = 512
_MOST_SYMBOLS: Final = 500


class BadAnswer(ValueError):
    """Not what rspamd says; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known of a message besides its octets. sender: of the envelope, "" for <>; ip, helo: of the peer, name:
    what the DNS calls it, "" when it has none; user: who logged in; id: of the queue; here: our own name.
    """

    sender: str = ""
    recipients: Sequence[str] = ()
    ip: str = ""
    helo: str = ""
    name: str = ""
    user: str = ""
    id: str = ""
    here: str = ""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One finding. text: what it means, "" when rspamd does not say."""

    name: str
    score: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """action: "no action", "greylist", "add header", "rewrite subject", "soft reject", "reject", …; required: the score
    of its strictest action; symbols: those that weigh most first; skipped: it has not looked at all of it.
    """

    score: float
    required: float
    action: str
    symbols: tuple[Symbol, ...] = ()
    skipped: bool = False


class _Symbol(msgspec.Struct):
    score: float = 0.0
    description: str = ""


class _Answer(msgspec.Struct):
    action: str
    score: float
    required_score: float = 0.0
    symbols: dict[str, _Symbol] = {}
    is_skipped: bool = False


_read = msgspec.json.Decoder(_Answer).decode


def fields(question: Question) -> tuple[tuple[str, str], ...]:
    """Of the request. What people wrote is made harmless: no field can be added by it."""
    found = [
        ("From", question.sender),
        *(("Rcpt", each) for each in question.recipients[:MOST_RECIPIENTS]),
        ("IP", question.ip),
        ("Helo", question.helo),
        ("Hostname", question.name),
        ("User", question.user),
        ("Queue-Id", question.id),
        ("MTA-Name", question.here),
    ]
    return tuple([(name, _harmless(value)) for name, value in found if value])


def _harmless(value: str) -> str:
    """UTF-8 as the octets of a field."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in value[:_LONGEST])
    return plain.encode("utf-8", "replace").decode("latin-1")


def read_answer(body: bytes) -> Answer:
    """Of checkv2. Raises BadAnswer."""
    try:
        found = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise BadAnswer(f"its answer is not understood: {str(fault)[:200]}") from None
    if not (isfinite(found.score) and isfinite(found.required_score)):
        raise BadAnswer("its score is no number")
    symbols = [
        Symbol(_word(name, 64), one.score, _word(one.description, 120))
        for name, one in list(found.symbols.items())[:_MOST_SYMBOLS]
        if isfinite(one.score)
    ]
    symbols.sort(key=lambda one: -abs(one.score))
    return Answer(found.score, found.required_score, _word(found.action, 40), tuple(symbols), found.is_skipped)


def _word(text: str, most: int) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])
