"""The compiled scripts of accounts, kept while they, and what they include, stay as they are.

Owns: programs in memory. Trusts: nothing of scripts; a script that does not compile (any more) counts as an error at
each run.
On failure: BadScript, StoreError.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from postroom.mailbox.scripts import domain_of, includes, library_of, site_texts
from postroom.mailbox.service import Account
from postroom.sieve.compiler import Program, compile_script
from postroom.sieve.faults import BadScript
from postroom.sieve.run import Limits
from postroom.store.api import DirectoryStore, NotFound

#: steps of a run on the event loop, some milliseconds; what takes more goes to a thread
_QUICK: Final = 4_000
#: programs that are kept, and octets of script above which they are not
_MOST: Final = 500
_LARGEST: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Compiled:
    """A script. serial: of the account's scripts; fault: why it cannot be run, "" when it can.

    site: generation of the directory when it was compiled, where it may include scripts of the site; else -1.
    """

    name: str
    serial: int
    program: Program | None
    fault: str = ""
    site: int = -1


class Programs:
    """Of all accounts."""

    __slots__ = ("_directory", "_kept", "limits", "quick")

    def __init__(self, limits: Limits, directory: DirectoryStore) -> None:
        self.follow(limits)
        self._directory = directory
        self._kept: OrderedDict[tuple[str, str], Compiled] = OrderedDict()

    def follow(self, limits: Limits) -> None:
        """Other limits from now on. quick: those of a run on the event loop."""
        self.limits = limits
        self.quick = replace(limits, steps=min(_QUICK, limits.steps))

    async def of(self, account: Account) -> Compiled | None:
        """The program that sorts the account's mail; None when no script is active. Raises StoreError."""
        state = await account.store.filters.filter()
        if not state.active:
            self._kept.pop((account.id, ""), None)
            return None
        return await self._program(account, (account.id, ""), state.active, state.serial, site=False)

    async def named(self, account: Account, name: str, *, site: bool) -> Compiled | None:
        """The program of a script of the account; None when there is none. Raises StoreError.

        site: when the account has none of this name, the site's is meant.
        """
        state = await account.store.filters.filter()
        return await self._program(account, (account.id, name), name, state.serial, site=site)

    async def _program(
        self, account: Account, key: tuple[str, str], name: str, serial: int, *, site: bool
    ) -> Compiled | None:
        known = self._kept.get(key)
        generation = self._directory.generation()
        if known is not None and (known.serial, known.name) == (serial, name) and known.site in (-1, generation):
            self._kept.move_to_end(key)
            return known
        try:
            text = await account.store.filters.script(name)
        except NotFound:  # renamed just now, or the site's
            texts = await site_texts(self._directory, domain_of(account.row.login)) if site else {}
            if name not in texts:
                return None
            text = texts[name]
        else:
            site = False
        found = await self._compiled(account, text, name, serial)
        if site or includes(text):
            found = replace(found, site=generation)
        if len(text) <= _LARGEST:
            self._kept[key] = found
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return found

    async def _compiled(self, account: Account, text: bytes, name: str, serial: int) -> Compiled:
        library = await library_of(account.store.filters, text, self._directory, domain_of(account.row.login))
        try:
            return Compiled(name, serial, compile_script(text, library, self.limits))
        except BadScript as bad:
            return Compiled(name, serial, None, str(bad.faults[0]))
