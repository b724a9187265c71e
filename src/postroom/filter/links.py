"""Links that deceive: another target than the text shows, hosts that look like others, hosts hidden in a URL.

Pure; trusts nothing. On failure: never.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from publicsuffixlist import PublicSuffixList

from postroom.filter.anchors import Link, host_of
from postroom.filter.scoring import Reason
from postroom.filter.seen import Seen
from postroom.values.likeness import shown_domain

#: what is shown looks like a host or a URL
_SHOWN_HOST: Final = re.compile(
    r"^(?:https?://)?((?:[^\s/@.<>()]{1,63}\.){1,5}[^\s/@.<>():?#]{2,24})(?:[/:?#]\S*)?$", re.IGNORECASE
)
_LATIN: Final = re.compile(r"[a-z]", re.IGNORECASE)
_LOOKALIKE: Final = re.compile(r"[\u0370-\u052f\u0531-\u058f\u13a0-\u13ff]")
#: domains whose links stand for others: shorteners
_SHORTENERS: Final = frozenset((
    "bit.ly", "tinyurl.com", "t.co", "goo.gl", "is.gd", "ow.ly", "cutt.ly", "rb.gy", "shorturl.at", "t.ly",
    "rebrand.ly",
))  # fmt: skip
_MOST: Final = 40
_COUNTER: Final = 4


#: a page to log in, in a host and in a path
_LOGIN_HOST: Final = re.compile(r"log-?in|sign-?in|verif|secur|account|update|auth|webmail")
_LOGIN_PATH: Final = re.compile(r"log-?in|sign-?in|verif|webmail|owa\b|account|passw|session|confirm", re.IGNORECASE)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=8192)
def organisation(host: str) -> str:
    """The domain somebody registered for this host, the host itself when there is none."""
    return _suffixes().privatesuffix(host) or host


def deceptions(seen: Seen) -> Iterator[Reason]:
    """At most one reason of each kind."""
    told: set[str] = set()
    links = seen.links[:_MOST]
    home = organisation(seen.authors[0].domain.lower()) if seen.authors else ""
    often = Counter(organisation(link.host) for link in links)
    for link in links:
        for reason in _of_link(link, home, often):
            if reason.name not in told:
                told.add(reason.name)
                yield reason


def _of_link(link: Link, home: str, often: Counter[str]) -> Iterator[Reason]:
    """home: the author's organisation; often: where how many links lead. What newsletters show leads over a counter
    of clicks, where all their links lead.
    """
    if not link.host:
        return
    there = organisation(link.host)
    shown = _shown_host(link.shown)
    if shown and organisation(shown) != there:
        points = 0.5 if organisation(shown) == home or often[there] >= _COUNTER else 2.2
        yield Reason("LINK_MISMATCH", points, f"a link shows {shown} but leads to {link.host}")
    path = link.target.partition("//")[2].partition("/")[2][:300]
    if there != home and _LOGIN_HOST.search(link.host) and _LOGIN_PATH.search(path):
        yield Reason("LINK_LOGIN", 1.2, f"a link leads to what looks like a log-in page, at {link.host}")
    if _is_address(link.host):
        yield Reason("LINK_ADDRESS", 1.8, f"a link leads to a bare address, {link.host}")
    if "@" in link.target.partition("//")[2].partition("/")[0]:
        yield Reason("LINK_USERINFO", 2.5, f"a link hides its target {link.host} behind something else")
    yield from _homograph(link.host)
    if there in _SHORTENERS:
        yield Reason("LINK_SHORTENED", 0.4, f"a link hides its target behind {link.host}")


def _shown_host(text: str) -> str:
    if "." not in text:
        return ""
    match = _SHOWN_HOST.match(text.strip())
    if match is None or "." not in match[1]:
        return ""
    host = host_of(match[1].lower())
    return host if _suffixes().publicsuffix(host, accept_unknown=False) else ""


def _is_address(host: str) -> bool:
    if not (host[-1:].isdigit() or ":" in host or host.startswith("0x")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return host.isdigit() or host.startswith("0x")
    return True


def _homograph(host: str) -> Iterator[Reason]:
    if host.isascii() and "xn--" not in host:
        return
    shown = shown_domain(host)
    for label in shown.split("."):
        if _LATIN.search(label) and _LOOKALIKE.search(label):
            yield Reason(
                "LINK_HOMOGRAPH", 3.0, f"a link leads to {shown} ({host}), which mixes alphabets to look alike"
            )
            return


#: what deceives about where a link leads, or about who asks
_DECEIVE: Final = frozenset((
    "LINK_ADDRESS", "LINK_USERINFO", "LINK_HOMOGRAPH", "LINK_LOOKALIKE", "LINK_BORROWED", "LINK_NEAR", "LINK_BRAND",
    "LINK_LOGIN", "LINK_DATA", "PASSWORD_INSIDE", "NAME_IS_BRAND", "AUTHOR_LOOKALIKE", "IMITATION", "FILE_PAGE",
))  # fmt: skip


def phishing(found: Iterable[Reason]) -> Iterator[Reason]:
    """A threat and a link that deceives, together, are more than both alone."""
    told = list(found)
    names = {reason.name for reason in told}
    hidden = any(reason.name == "LINK_MISMATCH" and reason.points > 1 for reason in told)
    if "ACCOUNT_THREAT" in names and (hidden or names & _DECEIVE):
        yield Reason("PHISHING", 3.5, "it threatens the reader and asks for a log-in somewhere else")
