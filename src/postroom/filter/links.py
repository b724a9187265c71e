"""Links that deceive: another target than the text shows, hosts that look like others, hosts hidden in a URL.

Pure; trusts nothing. On failure: never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from publicsuffixlist import PublicSuffixList

from postroom.filter.scoring import Reason
from postroom.filter.seen import Link, Seen, host_of
from postroom.values.likeness import shown_domain, skeleton

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


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisation(host: str) -> str:
    """The domain somebody registered for this host, the host itself when there is none."""
    return _suffixes().privatesuffix(host) or host


def deceptions(seen: Seen) -> Iterator[Reason]:
    """At most one reason of each kind."""
    told: set[str] = set()
    for link in seen.links[:_MOST]:
        for reason in _of_link(link):
            if reason.name not in told:
                told.add(reason.name)
                yield reason


def _of_link(link: Link) -> Iterator[Reason]:
    if not link.host:
        return
    shown = _shown_host(link.shown)
    if shown and organisation(shown) != organisation(link.host):
        yield Reason("LINK_MISMATCH", 2.5, f"a link shows {shown} but leads to {link.host}")
    if _is_address(link.host):
        yield Reason("LINK_ADDRESS", 1.5, f"a link leads to a bare address, {link.host}")
    if "@" in link.target.partition("//")[2].partition("/")[0]:
        yield Reason("LINK_USERINFO", 2.5, f"a link hides its target {link.host} behind something else")
    yield from _homograph(link.host)
    if organisation(link.host) in _SHORTENERS:
        yield Reason("LINK_SHORTENED", 0.4, f"a link hides its target behind {link.host}")


def _shown_host(text: str) -> str:
    match = _SHOWN_HOST.match(text.strip())
    if match is None or "." not in match[1]:
        return ""
    host = host_of(match[1].lower())
    return host if _suffixes().publicsuffix(host, accept_unknown=False) else ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host.isdigit() or host.startswith("0x")
    return True


def _homograph(host: str) -> Iterator[Reason]:
    shown = shown_domain(host)
    for label in shown.split("."):
        if _LATIN.search(label) and _LOOKALIKE.search(label):
            yield Reason(
                "LINK_HOMOGRAPH", 3.0, f"a link leads to {shown} ({host}), which mixes alphabets to look alike"
            )
            return


#: links that deceive about where they lead
_DECEIVE: Final = frozenset((
    "LINK_MISMATCH", "LINK_ADDRESS", "LINK_USERINFO", "LINK_HOMOGRAPH", "LINK_LOOKALIKE", "LINK_LOGIN", "LINK_DATA",
    "FORM_INSIDE",
))  # fmt: skip


def phishing(found: Iterable[Reason]) -> Iterator[Reason]:
    """A threat and a link that deceives, together, are more than both alone."""
    names = {reason.name for reason in found}
    if "ACCOUNT_THREAT" in names and names & _DECEIVE:
        yield Reason("PHISHING", 3.0, "it threatens the reader and asks for a log-in somewhere else")


def imitated(hosts: Iterable[str], protected: Iterable[str]) -> Iterator[Reason]:
    """Hosts that look like one of these domains and are none. protected: domains people here trust."""
    keys = {skeleton(shown_domain(domain)): domain for domain in protected}
    for host in hosts:
        name = organisation(host)
        real = keys.get(skeleton(shown_domain(name)))
        if real is not None and real != name:
            yield Reason("LINK_LOOKALIKE", 4.0, f"a link leads to {shown_domain(name)}, which looks like {real}")
            return
