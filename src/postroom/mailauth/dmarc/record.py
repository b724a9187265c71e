"""DMARC policy records, read by RFC 9989 4.7 and 4.8: what cannot be read is as if it were not there.

Trust: a stranger's text; reading is linear, and more than LONGEST_RECORD is no record.
On failure: None for what is no DMARC record; faults inside one are in `problems`, in words, and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from postroom.mailauth.names import shown

#: octets
LONGEST_RECORD: Final = 16384
#: addresses of a list that are kept
MOST_URIS: Final = 20

# RFC 9989 4.8  dmarc-version = "v" equals %s"DMARC1"
_VERSION: Final = re.compile(rb"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_TAG: Final = re.compile(r"([A-Za-z]+)[ \t]*=(.*)", re.DOTALL)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_REPORT_SIZE: Final = re.compile(r"!\d+[kmgtKMGT]?\Z")
_MAILTO: Final = re.compile(r"mailto:([^?]+)", re.IGNORECASE)


class Policy(StrEnum):
    """What an owner asks for (RFC 9989 4.7, tag p)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def lowered(self) -> Policy:
        """One step below, for t=y (RFC 9989 4.7)."""
        return Policy.QUARANTINE if self is Policy.REJECT else Policy.NONE


#: octets of a record that is worth remembering
_SHORT: Final = 512


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One record. usable: False when it asks for no DMARC at all (RFC 9989 4.10.1); broken: because of a fault.

    policy, subdomains, missing: the tags p, sp, np after the rules for faults; None where a tag is absent.
    strict_dkim, strict_spf: adkim=s, aspf=s. suffix: psd, one of "y", "n", "u". testing: t=y.
    aggregate, failure: the URIs of rua and ruf without size limits. failure_options: fo.
    percent, interval: pct and ri of RFC 7489, without effect. problems: what was passed over.
    """

    text: str
    usable: bool
    broken: bool
    policy: Policy = Policy.NONE
    subdomains: Policy | None = None
    missing: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    suffix: str = "u"
    testing: bool = False
    aggregate: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()
    failure_options: tuple[str, ...] = ("0",)
    percent: int = 100
    interval: int = 86400
    problems: tuple[str, ...] = ()

    def for_subdomain(self, *, exists: bool) -> tuple[Policy, str]:
        """The policy for a name below, and the tag it is from (RFC 9989 4.7: np, else sp, else p)."""
        if not exists and self.missing is not None:
            return self.missing, "np"
        if self.subdomains is not None:
            return self.subdomains, "sp"
        return self.policy, "p"


def is_policy_record(text: bytes) -> bool:
    """Whether it begins with v=DMARC1 (RFC 9989 4.10, step 2); anything else at the name is not looked at."""
    return len(text) <= LONGEST_RECORD and _VERSION.match(text) is not None


def mailto(uri: str) -> str:
    """The address of a mailto: URI (RFC 6068 2), decoded; "" when it is none or has several."""
    found = _MAILTO.match(uri)
    address = unquote(found[1]) if found else ""
    return address if address.count("@") == 1 and "," not in address and address.isprintable() else ""


class _Tags:
    """The tags of a record by name, and what was wrong with them."""

    def __init__(self, text: str) -> None:
        self.problems: list[str] = []
        self.values: dict[str, str] = {}
        for piece in text.split(";")[1:]:
            plain = piece.strip(" \t")
            found = _TAG.fullmatch(plain)
            if found is None:
                if plain:
                    self._problem(f'"{shown(plain, 40)}" is no tag')
            elif found[1].lower() in self.values:
                self._problem(f"{found[1]}= stands twice; the first counts")
            elif len(self.values) < 64:
                self.values[found[1].lower()] = found[2].strip(" \t")

    def _problem(self, text: str) -> None:
        if len(self.problems) < 10:
            self.problems.append(text)

    def one_of(self, name: str, allowed: str, default: str) -> str:
        """A tag of one letter."""
        value = self.values.get(name, default).lower()
        if len(value) == 1 and value in allowed:
            return value
        self._problem(f"{name}={shown(value, 40)} is none of {', '.join(allowed)}")
        return default

    def policy(self, name: str) -> Policy | None:
        """p, sp or np; None when absent. Raises ValueError when it is no policy."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return Policy(value.lower())
        except ValueError:
            self._problem(f"{name}={shown(value, 40)} is none of none, quarantine, reject")
            raise

    def number(self, name: str, default: int, most: int) -> int:
        """pct, ri."""
        value = self.values.get(name, "")
        return min(int(value), most) if value.isascii() and value.isdigit() and len(value) < 10 else default

    def uris(self, name: str) -> tuple[str, ...]:
        """rua, ruf: what are URIs, without the size limits of RFC 7489 (RFC 9989 4.8, obs-dmarc-report-size)."""
        found = tuple(self._valid_uris(name))
        if len(found) > MOST_URIS:
            self._problem(f"{name}= has {len(found)} addresses; {MOST_URIS} count")
        return found[:MOST_URIS]

    def _valid_uris(self, name: str) -> Iterator[str]:
        for piece in self.values.get(name, "").split(","):
            uri = _REPORT_SIZE.sub("", piece.strip(" \t"))
            good = _URI.fullmatch(uri) and "!" not in uri
            if good and (mailto(uri) or uri[:7].lower() != "mailto:"):
                yield uri
            elif uri:
                self._problem(f"{name}: {shown(uri, 60)} is no URI")


def _policies(tags: _Tags, *, reports: bool) -> tuple[bool, bool, Policy, Policy | None, Policy | None]:
    """RFC 9989 4.10.1: usable, broken, p, sp, np.

    A fault in one of them makes all of them "none" when somebody wants reports, and the record unusable otherwise.
    """
    try:
        policy, subdomains, missing = tags.policy("p"), tags.policy("sp"), tags.policy("np")
    except ValueError:
        return reports, not reports, Policy.NONE, None, None
    if policy is None:
        return reports, False, Policy.NONE, subdomains, missing
    return True, False, policy, subdomains, missing


def parse_policy_record(text: bytes) -> PolicyRecord | None:
    """Read the text of one TXT record; None when it is no DMARC record. Short ones are remembered."""
    return _kept(text) if len(text) <= _SHORT else _parse(text)


def _parse(text: bytes) -> PolicyRecord | None:
    if not is_policy_record(text):
        return None
    plain = text.decode("ascii", "replace")
    tags = _Tags(plain)
    aggregate = tags.uris("rua")
    usable, broken, policy, subdomains, missing = _policies(tags, reports=bool(aggregate))
    options = tuple(one.strip(" \t").lower() for one in tags.values.get("fo", "0").split(":"))
    return PolicyRecord(
        text=plain,
        usable=usable,
        broken=broken,
        policy=policy,
        subdomains=subdomains,
        missing=missing,
        strict_dkim=tags.one_of("adkim", "rs", "r") == "s",
        strict_spf=tags.one_of("aspf", "rs", "r") == "s",
        suffix=tags.one_of("psd", "ynu", "u"),
        testing=tags.one_of("t", "yn", "n") == "y",
        aggregate=aggregate,
        failure=tags.uris("ruf"),
        failure_options=tuple(one for one in options if one in {"0", "1", "d", "s"}) or ("0",),
        percent=tags.number("pct", 100, 100),
        interval=tags.number("ri", 86400, 1 << 31),
        problems=tuple(tags.problems),
    )


_kept: Final = lru_cache(maxsize=1024)(_parse)
