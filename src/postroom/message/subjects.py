"""Base subjects: what is left of a Subject when the traces of replies, forwards and mailing lists are gone.

Pure. Trusts nothing: the work grows with the length of the subject only.
Standards: RFC 5256 2.1 and 5 (subj-leader, subj-blob, subj-trailer, subj-fwd).
On failure: never.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BLOB = r"\[[^\[\]]*\][ \t]*"
#: subj-blob
_BLOBS = re.compile(f"(?:{_BLOB})*")
_ONE_BLOB = re.compile(_BLOB)
#: subj-refwd: "re" / ("fw" ["d"]), *WSP, [subj-blob], ":"
_REFWD = re.compile(rf"(?:re|fwd?)[ \t]*(?:{_BLOB})?:", re.IGNORECASE)
_SPACE = re.compile(r"[ \t]*")
_SPACES = re.compile(r"[\t\r\n ]+")
_TRAILER: Final = "(fwd)"
_FORWARD: Final = "[fwd:"
#: first and last characters of what can be taken off
_MAY_BEGIN: Final = frozenset("[rRfF \t")
_MAY_END: Final = frozenset(" \t)")


class BaseSubject(NamedTuple):
    """text: the base subject; reply: what was taken off says that it is a reply or a forward (RFC 5256 3)."""

    text: str
    reply: bool


def base_subject(subject: str) -> BaseSubject:
    """The base subject of a decoded Subject value. RFC 5256 2.1; the numbers are those of its steps."""
    if "\t" in subject or "  " in subject or "\n" in subject or "\r" in subject:
        subject = _SPACES.sub(" ", subject)  # (1)
    if subject[:1] not in _MAY_BEGIN and subject[-1:] not in _MAY_END:
        return BaseSubject(subject, False)  # most subjects
    at, end = 0, len(subject)
    reply = False
    while True:
        end, trailed = _without_trailers(subject, at, end)  # (2)
        at, led = _without_leaders(subject, at, end)  # (3) to (5)
        reply = reply or trailed or led
        if not _is_forward(subject, at, end):  # (6)
            return BaseSubject(subject[at:end], reply)
        at, end, reply = at + len(_FORWARD), end - 1, True


def _without_trailers(text: str, at: int, end: int) -> tuple[int, bool]:
    """The new end, and whether a "(fwd)" went."""
    found = False
    while end > at:
        if text[end - 1] in " \t":
            end -= 1
        elif text[end - 1] == ")" and text[max(end - 5, at) : end].lower() == _TRAILER:
            end -= len(_TRAILER)
            found = True
        else:
            break
    return end, found


def _without_leaders(text: str, at: int, end: int) -> tuple[int, bool]:
    """The new beginning, and whether a subj-refwd went."""
    found = False
    hopeless = at  # no leader begins before this place
    while True:
        at = _end(_SPACE, text, at, end)
        if at >= hopeless:
            after = _end(_BLOBS, text, at, end)
            leader = _REFWD.match(text, after, end)
            if leader:
                at, found = leader.end(), True
                continue
            hopeless = after
        blob = _ONE_BLOB.match(text, at, end)
        if blob is None or blob.end() >= end:
            return at, found
        at = blob.end()


def _end(pattern: re.Pattern[str], text: str, at: int, end: int) -> int:
    found = pattern.match(text, at, end)
    return found.end() if found else at


def _is_forward(text: str, at: int, end: int) -> bool:
    return end - at > len(_FORWARD) and text[end - 1] == "]" and text[at : at + len(_FORWARD)].lower() == _FORWARD
