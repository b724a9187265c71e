"""Authentication-Results fields that came with a message and pretend to be ours.

Wide: a field that any program could take for ours goes, whatever comments, quoting, case, version or spelling it uses,
and so does one of a version that nobody here knows (RFC 8601 5). One too many removed costs nothing.
Standards: RFC 8601 2.5, 5 and 7.1.
On failure: never.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from postroom.mailauth.names import a_labels
from postroom.message.decode import decode_words

#: a field with its continuation lines; a CR or LF alone may count as a line end somewhere
_FIELD = re.compile(
    rb"(?:\A|(?<=[\r\n]))authentication-results[ \t]*:[^\r\n]*(?:(?:\r\n|\n|\r)[ \t][^\r\n]*)*(?:\r\n|\n|\r|\Z)",
    re.IGNORECASE,
)
_NAME = b"authentication-results"
_COMMENT = re.compile(r"\((?:[^()\\]|\\.)*\)", re.DOTALL)
_QUOTING = re.compile(r"[\"\\]")
_BREAKS = re.compile(r"[\s;,/=()<>\[\]{}:]+")
#: nested comments are peeled so often; deeper ones are left to the other reading
_MAX_NESTING = 8
_MAX_HEAD = 2048


def _plain(text: str) -> str:
    """A name as a careless reader compares it."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(char for char in text if char.isprintable()).strip(".")
    return (text if text.isascii() else a_labels(text)) or text


def _readings(head: str) -> Iterable[str]:
    """The text before the results, as different programs may read it: with comments, without, and decoded."""
    yield head
    without = apart = head
    for _ in range(_MAX_NESTING):
        shorter = _COMMENT.sub("", without)
        if shorter == without:
            break
        without, apart = shorter, _COMMENT.sub(" ", apart)
    yield without
    yield apart
    if "=?" in head:
        yield decode_words(head.encode("utf-8", "surrogateescape"))


def claims(value: bytes, authserv_ids: Collection[str]) -> bool:
    """True when somebody may read this Authentication-Results value as written by one of these ids.

    Comments, quoting, case, a version, a trailing dot, U-labels and look-alike characters do not help to hide it.
    """
    ours = {_plain(one) for one in authserv_ids}
    text = value[: 4 * _MAX_HEAD].decode("utf-8", "surrogateescape")
    text = _QUOTING.sub("", re.sub(r"[\r\n]+", "", text))
    heads = {text.partition(";")[0]}
    for reading in list(_readings(text)):
        heads.add(reading.partition(";")[0])
    return any(
        _plain(word) in ours
        for head in heads
        for reading in _readings(head[:_MAX_HEAD])
        for word in _BREAKS.split(reading)
        if word
    )


def _of_unknown_version(value: bytes) -> bool:
    """RFC 8601 2.6: a number other than 1 behind the name of who checked."""
    head = value[: 4 * _MAX_HEAD].decode("latin-1")
    *_, plain = list(_readings(head))[:3]
    words = plain.partition(";")[0].split()
    return len(words) > 1 and words[1].isdigit() and words[1] != "1"


def _goes(value: bytes, authserv_ids: Collection[str]) -> bool:
    return claims(value, authserv_ids) or _of_unknown_version(value)


def remove_forged(header: bytes, authserv_ids: Collection[str]) -> bytes:
    """The header block without the Authentication-Results fields that claim one of our ids, or an unknown version.

    Everything else stays as it is, octet by octet.
    """
    if _NAME not in header.lower():
        return header
    return _FIELD.sub(lambda found: b"" if _goes(found[0].partition(b":")[2], authserv_ids) else found[0], header)
