"""Tag lists: the `name=value; …` of signatures, seals and key records.

Strict, because leniency is what attacks live on (RFC 6376 6.1.1): a doubled tag, an empty one or a control character
spoils the whole list. 8-bit octets are let through for RFC 8616.
Standards: RFC 6376 3.2 and 2.8 (folding white space); base64 as RFC 2045 6.8.
On failure: BadTags with the reason in plain words.
"""

from __future__ import annotations

import binascii
import re

#: a tag list of more octets is refused unread: RSA-4096 needs 700, copied fields (z=) some thousand
MAX_OCTETS = 32_768

_FWS = b" \t\r\n"
_TAG = re.compile(rb"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_FOREIGN = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
_B_TAG = re.compile(rb"(?:\A|;)[ \t\r\n]*b[ \t\r\n]*=")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_DIGITS = re.compile(r"[0-9]+")


class BadTags(ValueError):
    """Text that is no tag list, or a tag that says nothing sensible."""


def parse_tags(text: bytes) -> dict[str, bytes]:
    """Names and values in order, values unfolded and without the white space around them. Raises BadTags."""
    if len(text) > MAX_OCTETS:
        raise BadTags(f"it is longer than {MAX_OCTETS} octets")
    unfolded = _FOLD.sub(b"", text)
    if _FOREIGN.search(unfolded):
        raise BadTags("it has a control character or a broken line")
    specs = unfolded.split(b";")
    if len(specs) > 1 and not specs[-1].strip(_FWS):  # RFC 6376 3.2: one semicolon may end the list
        specs.pop()
    tags: dict[str, bytes] = {}
    for spec in specs:
        name = _TAG.match(spec)
        if not name:
            raise BadTags("it has a part that is no tag=value")
        key = name[1].decode()
        if key in tags:
            raise BadTags(f"the tag {key}= stands in it twice")
        tags[key] = spec[name.end() :].strip(_FWS)
    return tags


def without_signature(field: bytes) -> bytes:
    """A signature's field with the value of b= and the white space around it taken out (RFC 6376 3.7).

    The tag list must be one that `parse_tags` accepts. The field's line end goes too.
    """
    name, colon, value = field.removesuffix(b"\r\n").partition(b":")
    found = _B_TAG.search(value)
    if not found:
        return name + colon + value
    end = value.find(b";", found.end())
    return name + colon + value[: found.end()] + (value[end:] if end >= 0 else b"")


def base64_value(value: bytes) -> bytes:
    """The octets of a base64 value that may have white space anywhere. Raises BadTags."""
    try:
        return binascii.a2b_base64(_BLANKS.sub(b"", value), strict_mode=True)
    except (binascii.Error, ValueError) as fault:
        raise BadTags("it is no base64") from fault


def text_value(value: bytes) -> str:
    """A value as text. Raises BadTags when it is no UTF-8 (RFC 8616 5)."""
    try:
        return value.decode()
    except UnicodeDecodeError as fault:
        raise BadTags("it is no UTF-8") from fault


def number_value(value: bytes, digits: int) -> int:
    """An unsigned decimal number of at most so many digits. Raises BadTags."""
    text = value.decode("latin-1")
    if not _DIGITS.fullmatch(text) or len(text) > digits:
        raise BadTags(f"it is no number of up to {digits} digits")
    return int(text)


def list_value(value: bytes) -> tuple[bytes, ...]:
    """The parts of a colon-separated list, without the white space around them."""
    return tuple(part.strip(_FWS) for part in value.split(b":"))
