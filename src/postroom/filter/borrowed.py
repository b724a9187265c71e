"""Names that are borrowed: links, authors and display names that pretend to be a domain of ours or a well-known brand.

A host is compared with the domains that people here trust: the hosted ones and those of the brands in the file of
rules. It deceives when it looks the same (another alphabet, digits for letters), when it is one typing error away, or
when the trusted name stands inside it (bank.example.evil.test, bank-login.test).
Pure; trusts nothing. On failure: never.
Standards: Unicode TS 39 4 (skeletons), by values.likeness.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from postroom.filter.links import organisation
from postroom.filter.scoring import Reason
from postroom.filter.seen import Seen
from postroom.values.likeness import shortened, shown_domain, skeleton

#: shorter names are one letter apart from too many others
_LEAST: Final = 6
_MOST: Final = 40
_PIECES: Final = re.compile(r"[.-]")
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Brand:
    """An organisation that is often imitated. name: as people write it; domains: its own."""

    name: str
    domains: tuple[str, ...]


@lru_cache(maxsize=8192)
def _key(domain: str) -> str:
    return skeleton(shown_domain(domain))


class Trusted:
    """Domains and names that others borrow. hosted: domains of ours."""

    __slots__ = ("_brands", "_labels", "_near", "_own", "_whole")

    def __init__(self, hosted: Sequence[str], brands: Sequence[Brand]) -> None:
        domains = [*hosted, *(domain for brand in brands for domain in brand.domains)]
        self._own = frozenset(organisation(domain) for domain in domains) | frozenset(domains)
        self._whole = {_key(domain): domain for domain in reversed(domains)}
        self._near: dict[tuple[str, str], str] = {}
        for domain in domains:
            label, _, rest = domain.partition(".")
            if len(label) >= _LEAST:
                for piece in shortened(label):
                    self._near.setdefault((piece, rest), domain)
        self._labels = {_key(brand.name): brand for brand in brands if len(brand.name) >= 4 and brand.name.isalpha()}
        self._brands: dict[str, list[tuple[tuple[str, ...], Brand]]] = {}
        for brand in brands:
            words = _words(brand.name)
            self._brands.setdefault(next(iter(words), ""), []).append((words, brand))

    def reasons(self, seen: Seen) -> Iterator[Reason]:
        """What links, author and display name pretend; at most one reason of each kind."""
        yield from self.of_hosts(link.host for link in seen.links[:_MOST])
        if not seen.authors:
            return
        author = seen.authors[0]
        domain = author.domain.lower()
        like = self._like(organisation(domain))
        if like:
            yield Reason("AUTHOR_LOOKALIKE", 3.5, f"the author's domain {shown_domain(domain)} looks like {like}")
        brand = self._brand_in(author.name[:200], domain)
        if brand is not None:
            yield Reason(
                "NAME_IS_BRAND",
                1.8,
                f"the sender calls itself {brand.name}, but {author.address} is not of {brand.name}",
            )

    def of_hosts(self, hosts: Iterable[str]) -> Iterator[Reason]:
        """Of what links lead to."""
        told: set[str] = set()
        for host in dict.fromkeys(hosts):
            reason = self._of_host(host)
            if reason is not None and reason.name not in told:
                told.add(reason.name)
                yield reason

    def _of_host(self, host: str) -> Reason | None:
        name = organisation(host)
        if "." not in host or name in self._own or host in self._own:
            return None
        shown = shown_domain(name)
        like = self._like(name)
        if like:
            return Reason("LINK_LOOKALIKE", 4.5, f"a link leads to {shown}, which looks like {like}")
        inside = self._inside(host)
        if inside:
            return Reason("LINK_BORROWED", 3.0, f"a link leads to {host}, which is not {inside} though it says so")
        label, _, rest = name.partition(".")
        if len(label) >= _LEAST - 1 and (near := self._one_off(label, rest)):
            return Reason("LINK_NEAR", 1.5, f"a link leads to {shown}, one letter away from {near}")
        for piece in _PIECES.split(host)[:-1][:12]:
            brand = self._labels.get(_key(piece))
            if brand is not None:
                return Reason("LINK_BRAND", 1.2, f"a link leads to {host}, which is not of {brand.name}")
        return None

    def _like(self, name: str) -> str:
        if name in self._own:
            return ""
        return self._whole.get(_key(name), "")

    def _one_off(self, label: str, rest: str) -> str:
        return next((self._near[(piece, rest)] for piece in shortened(label) if (piece, rest) in self._near), "")

    def _inside(self, host: str) -> str:
        """A trusted domain that stands in the host before its end."""
        labels = host.split(".")[-8:]
        for first in range(len(labels) - 2):
            for last in range(first + 2, len(labels)):
                name = ".".join(labels[first:last])
                if name in self._own:
                    return name
        return ""

    def _brand_in(self, name: str, domain: str) -> Brand | None:
        """The brand whose name the display name begins with, when the domain is another's."""
        if not name or organisation(domain) in self._own:
            return None
        words = _words(name)
        for wanted, brand in self._brands.get(next(iter(words), ""), ()):
            if words[: len(wanted)] == wanted:
                return brand
        return None


def _words(name: str) -> tuple[str, ...]:
    return tuple(_key(word) for word in _WORD.findall(name)[:8])
