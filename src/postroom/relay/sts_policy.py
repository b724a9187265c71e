"""MTA-STS: what a domain's DNS record and policy say. Pure.

Owns: nothing. Trusts: nothing of either text; both are bounded by whoever fetched them.
Standards: RFC 8461 3.1 (record), 3.2 (policy), 4.1 (names of servers).
On failure: BadPolicy with the reason; a record that cannot be read is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postroom.net.chains import fits

#: RFC 8461 3.2: about a year
LONGEST: Final = 31_557_600
_MOST_MX: Final = 100
_VERSION: Final = re.compile(rb"v=STSv1[ \t]*(?:;|$)")
_FIELD: Final = re.compile(rb"[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)[ \t]*")
_ID: Final = re.compile(rb"[A-Za-z0-9]{1,32}")
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_MX: Final = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*{_LABEL}")
_MODES: Final = frozenset({"enforce", "testing", "none"})


class BadPolicy(Exception):
    """The policy cannot be used; the text says why."""


class Policy(Struct, frozen=True):
    """mode: enforce, testing or none; mx: patterns, lower case; max_age: seconds."""

    mode: str
    mx: tuple[str, ...]
    max_age: int

    def names(self, host: str) -> bool:
        """Is this one of the domain's servers? RFC 8461 4.1: a wildcard stands for one label."""
        return any(fits(pattern, host) for pattern in self.mx)


def record_id(records: Sequence[bytes]) -> str:
    """The id in the TXT records of _mta-sts.DOMAIN; "" when the domain has no policy (RFC 8461 3.1)."""
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1:
        return ""
    found = ""
    for field in ours[0].split(b";")[1:]:
        match = _FIELD.fullmatch(field)
        if match is None:
            if field.strip():
                return ""
        elif match[1] == b"id" and not found:
            if not _ID.fullmatch(match[2]):
                return ""
            found = match[2].decode("ascii")
    return found


def read_policy(octets: bytes) -> Policy:
    """RFC 8461 3.2. Raises BadPolicy."""
    first: dict[str, str] = {}
    mx: list[str] = []
    for line in _text(octets).split("\n"):
        key, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon and not line.strip(" \t"):
            continue
        if not colon or not _KEY.fullmatch(key):
            raise BadPolicy(f"it has a line that is no field: {line[:40]!r}")
        if key == "mx":
            mx.append(value.lower().removesuffix("."))
        else:
            first.setdefault(key, value)
    if first.get("version") != "STSv1":
        raise BadPolicy("it does not say version: STSv1")
    mode = first.get("mode", "")
    if mode not in _MODES:
        raise BadPolicy(f"its mode is {mode[:20]!r}" if mode else "it says no mode")
    return Policy(mode, _servers(mx, mode), _seconds(first.get("max_age", "")))


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadPolicy("it is no text") from None


def _servers(mx: list[str], mode: str) -> tuple[str, ...]:
    if not mx and mode != "none":
        raise BadPolicy("it names no server (mx)")
    if len(mx) > _MOST_MX:
        raise BadPolicy(f"it names more than {_MOST_MX} servers")
    for pattern in mx:
        if len(pattern) > 255 or not _MX.fullmatch(pattern):
            raise BadPolicy(f"{pattern[:60]!r} is no name of a server")
    return tuple(dict.fromkeys(mx))


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise BadPolicy("it does not say how long it holds (max_age)")
    return min(int(text), LONGEST)
