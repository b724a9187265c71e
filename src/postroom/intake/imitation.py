"""Mail that imitates us: domains that look like a hosted one, and names of our people over foreign addresses.

A hit is a warning for the reader, never a reason to refuse: two companies may have similar names.
Owns: keys of the hosted domains, made again when the directory changes. Trusts: the directory.
On failure: StoreError of the directory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from unicodedata import normalize

from postroom.intake.verdict import related
from postroom.store.api import DirectoryStore
from postroom.values.likeness import disguised, name_key, shortened, shown_domain, skeleton

#: shorter names are one letter apart from too many others
_LEAST: Final = 6
#: first labels that many organisations share
_COMMON: Final = frozenset({"example", "office", "system", "mailer", "support", "service", "online", "server"})
_ADDRESS: Final = re.compile(r"[^\s<>@\"']+@([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
_LONGEST_NAME: Final = 200


def _disguise(domain: str) -> str:
    like = disguised(domain)
    return f"{domain} is written in letters of another script: it looks like {like}, but it is not." if like else ""


class Imitations:
    """Looks for imitations of what is hosted here."""

    def __init__(self, directory: DirectoryStore) -> None:
        self._directory = directory
        self._generation = -1
        self._hosted: frozenset[str] = frozenset()
        self._whole: dict[str, str] = {}  # skeleton of a hosted domain -> domain
        self._near: dict[tuple[str, str], str] = {}  # (shortened first label, rest) -> domain
        self._labels: dict[str, str] = {}  # first label that says enough -> domain

    async def warning(self, name: str, address: tuple[str, str], *, is_list: bool) -> str:
        """What to tell the reader of mail from `name` <address> (local part, A-labels), not a hosted one; "" mostly.

        is_list: it came by a mailing list: those write `Ann (ann@far.test) by list`, as they should.
        """
        local, domain = address
        await self._refresh()
        return (
            self._domain(domain)
            or _disguise(domain)
            or await self._name(name[:_LONGEST_NAME], f"{local}@{domain}", is_list)
        )

    async def hosted(self, domain: str) -> str:
        """The hosted domain that this one (A-labels, lower case) is, or else the nearest that it lies below; or ""."""
        await self._refresh()
        while domain and domain not in self._hosted:
            domain = domain.partition(".")[2]
        return domain

    async def _refresh(self) -> None:
        generation = self._directory.generation()
        if generation != self._generation:
            await self._learn()
            self._generation = generation

    async def _learn(self) -> None:
        hosted = [row.name for row in await self._directory.domains()]
        self._hosted = frozenset(hosted)
        self._whole = {skeleton(shown_domain(domain)): domain for domain in hosted}
        self._near = {}
        self._labels = {}
        for domain in hosted:
            label, _, rest = shown_domain(domain).partition(".")
            if len(label) >= _LEAST:
                for piece in shortened(label):
                    self._near.setdefault((piece, rest), domain)
                if label not in _COMMON:
                    self._labels[label] = domain

    def _domain(self, domain: str) -> str:
        shown = shown_domain(domain)
        inside = self._named_in(shown.split("."))
        if inside is not None:
            return f"{domain} is not {inside}, although that name stands in it." if inside else ""
        like = self._whole.get(skeleton(shown))
        if like is None:
            label, _, rest = shown.partition(".")
            if len(label) >= _LEAST - 1:
                pieces = ((piece, rest) for piece in shortened(label))
                like = next((self._near[piece] for piece in pieces if piece in self._near), None)
            like = like or self._labels.get(label)
        return f"{domain} looks like {like}, but it is another domain." if like and like not in (domain, shown) else ""

    def _named_in(self, labels: Sequence[str]) -> str | None:
        """A hosted domain that stands in these labels before their end; "" when it is their end; None for none."""
        for first in range(len(labels)):
            for last in range(first + 1, len(labels) + 1):
                if ".".join(labels[first:last]) in self._hosted:
                    return "" if last == len(labels) else ".".join(labels[first:last])
        return None

    async def _name(self, name: str, address: str, is_list: bool) -> str:
        if not name:
            return ""
        for found in _ADDRESS.finditer(normalize("NFKC", name)):
            claimed = found[1].lower()
            if claimed in self._hosted:
                return f"The name shows {found[0]}, but the address is {address}, outside {claimed}."
            if not is_list and not related(claimed, address.rpartition("@")[2]):
                return f"The name shows {found[0]}, but the address is {address}."
        logins = await self._directory.named(name_key(name))
        if logins:
            return f"{name} is the name of {logins[0]}, but this message comes from {address}, outside."
        return ""
