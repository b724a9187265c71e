"""The scripts of an account: what may be kept, and which one sorts its mail.

Owns: the rules; everything lies in store.api. The account's row is told before the first script is kept
(`AccountRow.filtered`), so that mail of accounts without any pays nothing.
Trusts: nothing of names and texts.
Standards: RFC 5804 1.6 (names), 2.3 to 2.11; RFC 5228; RFC 6609 3.2 (what is included need not be there yet).
On failure: BadScriptName, BadScript, and errors of store.api.
"""

from __future__ import annotations

from dataclasses import replace

from postroom.sieve.compiler import check
from postroom.sieve.faults import BadScript, Fault
from postroom.sieve.language.including import bad_script_name
from postroom.sieve.run import DEFAULT, Limits
from postroom.store.api import AccountStore, DirectoryStore, FilterStore, NotFound, ScriptInfo, ScriptLimits


class BadScriptName(Exception):
    """Not the name of a script; the text says why."""


class Library:
    """The scripts of an account, read before one of them is compiled (see sieve.world.Library)."""

    def __init__(self, texts: dict[str, bytes]) -> None:
        self._texts = texts

    def script(self, name: str, personal: bool) -> str | None:
        """There are no scripts of the site."""
        text = self._texts.get(name) if personal else None
        return None if text is None else text.decode("utf-8", "replace")


async def library_of(filters: FilterStore, text: bytes) -> Library:
    """What a script may include; nothing is read when it does not speak of it. Raises StoreError."""
    if b"include" not in text.lower():
        return Library({})
    return Library({each.name: await filters.script(each.name) for each in await filters.scripts()})


class Scripts:
    """Of one account. limits: of a script; kept: how many scripts, and of what size."""

    __slots__ = ("_account", "_directory", "_kept", "limits")

    def __init__(
        self,
        account: AccountStore,
        directory: DirectoryStore,
        limits: Limits = DEFAULT,
        kept: ScriptLimits | None = None,
    ) -> None:
        self._account = account
        self._directory = directory
        self.limits = limits
        self._kept = kept or ScriptLimits()

    async def all(self) -> list[ScriptInfo]:
        """By name."""
        return await self._account.filters.scripts()

    async def get(self, name: str) -> bytes:
        """Its text. Raises NotFound."""
        return await self._account.filters.script(name)

    async def faults(self, text: bytes) -> tuple[Fault, ...]:
        """What is wrong with a script."""
        return check(text, await library_of(self._account.filters, text), self.limits)

    async def put(self, name: str, text: bytes) -> None:
        """Insert or replace. Raises BadScriptName, BadScript, TooManyScripts, OverQuota."""
        check_name(name)
        faults = await self.faults(text)
        if faults:
            raise BadScript(faults)
        await self._tell()
        await self._account.filters.put_script(name, text, self._kept)

    async def room_for(self, name: str, octets: int) -> str:
        """RFC 5804 2.5: why a script of this size cannot be kept: "MAXSCRIPTS", "MAXSIZE"; "" when it can."""
        others = [each for each in await self.all() if each.name != name]
        if self._kept.count and len(others) + 1 > self._kept.count:
            return "MAXSCRIPTS"
        held = sum(each.size for each in others)
        if octets > self.limits.script or (self._kept.octets and held + octets > self._kept.octets):
            return "MAXSIZE"
        return ""

    async def activate(self, name: str) -> None:
        """Only this one sorts mail from now on; "": none does. Raises NotFound."""
        if name:
            await self._tell()
        await self._account.filters.activate_script(name)

    async def rename(self, name: str, new: str) -> None:
        """Raises BadScriptName, NotFound, ScriptExists."""
        check_name(new)
        await self._account.filters.rename_script(name, new)

    async def remove(self, name: str) -> None:
        """Raises NotFound, ScriptActive."""
        await self._account.filters.remove_script(name)

    async def _tell(self) -> None:
        """From now on delivery looks for scripts of this account."""
        row = await self._directory.account(self._account.id)
        if row is None:
            raise NotFound(f"no account {self._account.id}")
        if not row.filtered:
            await self._directory.put_account(replace(row, filtered=True))


def check_name(name: str) -> None:
    """Raises BadScriptName."""
    why = bad_script_name(name)
    if why:
        raise BadScriptName(why)
