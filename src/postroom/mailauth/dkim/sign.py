"""Signing: DKIM-Signature fields for a message that is about to leave.

The header given is the one that leaves, with all that we add; relaxed/relaxed, because relays fold and trim. Fields
that a reader sees are listed once more than they occur, so that nobody adds another (RFC 6376 5.4, 8.15). Fields that
relays change, add or remove are never signed. No l= is ever written (RFC 6376 8.2).
Standards: RFC 6376 5, RFC 8301 3 (rsa-sha256), RFC 8463 6 (two signatures, two selectors), RFC 8058 4.
On failure: CannotSign for a header that has no single From field or broken line ends.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from postroom.mailauth.body import BodyDigest
from postroom.mailauth.dkim.keys import SigningKey
from postroom.mailauth.header import Canonical, HeaderFields, relaxed_field

#: the form of the body whose digest `sign` wants
BODY_FORM = Canonical.RELAXED

#: signed, and nobody may add one, whether the message has one or not
SEALED = (
    "From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "In-Reply-To", "References", "Content-Type",
)  # fmt: skip
#: signed, and nobody may add another one, when the message has one: relays and lists add a first one of these
SEALED_IF_PRESENT = ("Sender", "MIME-Version", "Content-Transfer-Encoding", "Content-Disposition")
#: signed when present
SIGNED_IF_PRESENT = (
    "Content-ID", "Content-Description", "Content-Language", "Auto-Submitted", "Disposition-Notification-To",
    "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner",
    "List-Archive", "Feedback-ID", "Autocrypt",
)  # fmt: skip
#: more fields of one name than this are left to stand unsigned
_MAX_REPEATS = 20
_LINE = 76


class CannotSign(ValueError):
    """A message that must not carry our signature; the text says why."""


def signed_fields(fields: HeaderFields) -> list[str]:
    """The names for h=, in order, repeated as often as each is signed."""
    names: list[str] = []
    for group, always, extra in ((SEALED, True, 1), (SEALED_IF_PRESENT, False, 1), (SIGNED_IF_PRESENT, False, 0)):
        for name in group:
            count = min(fields.count(name.lower().encode()), _MAX_REPEATS)
            names += [name] * (count + extra if count or always else 0)
    return names


def folded_list(tag: str, words: Sequence[str], between: str, end: str) -> str:
    """`tag=a:b:c;` over as many lines as it needs, each after the first beginning with a space."""
    lines = [f"{tag}="]
    for index, word in enumerate(words):
        piece = word + (between if index + 1 < len(words) else end)
        if len(lines[-1]) + len(piece) > _LINE:
            lines.append(" ")
        lines[-1] += piece
    return "\r\n".join(lines)


def _value_lines(signature: bytes) -> str:
    text = base64.b64encode(signature).decode()
    return "".join(f"\r\n {text[start : start + _LINE]}" for start in range(0, len(text), _LINE))


def finish_field(unsigned: str, signed: hashlib._Hash, key: SigningKey) -> bytes:
    """A field whose text ends in `b=`, signed after all that `signed` has hashed, with its line end."""
    field = unsigned.encode()
    signed.update(relaxed_field(field))
    return field + _value_lines(key.sign(signed.digest())).encode() + b"\r\n"


def hashed_fields(fields: HeaderFields, names: Sequence[str]) -> hashlib._Hash:
    """The hash over the fields these names stand for, in relaxed form."""
    hashed = hashlib.sha256()
    for place in fields.selected(name.encode() for name in names):
        hashed.update(fields.canonical(place, Canonical.RELAXED))
    return hashed


def digest_tag(body: BodyDigest) -> str:
    """The tag bh=."""
    return f"bh={base64.b64encode(body.value).decode()};"


def check_header(fields: HeaderFields) -> None:
    """Raises CannotSign for a header that verifiers would read differently."""
    if fields.fault:
        raise CannotSign(fields.fault)
    if fields.count(b"from") != 1:
        raise CannotSign("the message has no From field, or several")


def sign(
    header: bytes | HeaderFields, body: BodyDigest, keys: Sequence[SigningKey], now: int, expires: int | None = None
) -> bytes:
    """One DKIM-Signature field for each key, with line ends, to be put before the header.

    `body`: the digest of the whole body in BODY_FORM. `now`, `expires`: Unix seconds. Raises CannotSign.
    """
    fields = header if isinstance(header, HeaderFields) else HeaderFields(header)
    check_header(fields)
    names = signed_fields(fields)
    covered = hashed_fields(fields, names)
    listed = folded_list("h", names, ":", ";")
    times = f"t={now};" + (f" x={expires};" if expires is not None else "")
    made = []
    for key in keys:
        unsigned = (
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};\r\n"
            f" s={key.selector}; {times}\r\n {listed}\r\n {digest_tag(body)}\r\n b="
        )
        made.append(finish_field(unsigned, covered.copy(), key))
    return b"".join(made)
