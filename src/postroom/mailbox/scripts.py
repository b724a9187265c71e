"""The scripts of an account: what may be kept, and which one sorts its mail.

Owns: the rules; everything lies in store.api. The account's row is told before the first script is kept
(`AccountRow.filtered`), so that mail of accounts without any pays nothing.
Trusts: nothing of names and texts.
Standards: RFC 5804 1.6 (names), 2.3 to 2.11; RFC 5228; RFC 6609 3.2 (:personal and :global; what is
included need not be there yet).
On failure: BadScriptName, BadScript, and errors of store.api.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from postroom.sieve.compiler import check
from postroom.sieve.faults import BadScript, Fault
from postroom.sieve.language.including import bad_script_name
from postroom.sieve.run import DEFAULT, Limits
from postroom.store.api import (
    AccountStore,
    DirectoryStore,
    FilterStore,
    NotFound,
    ScriptInfo,
    ScriptLimits,
    SiteScriptRow,
)


class BadScriptName(Exception):
    """Not the name of a script; the text says why."""


class Library:
    """The scripts of an account and of its site, read before one of them is compiled (see sieve.world.Library)."""

    def __init__(self, texts: Mapping[str, bytes], site: Mapping[str, bytes]) -> None:
        self._texts = texts
        self._site = site

    def script(self, name: str, personal: bool) -> str | None:
        """Its text."""
        text = (self._texts if personal else self._site).get(name)
        return None if text is None else text.decode("utf-8", "replace")


def includes(text: bytes) -> bool:
    """May the script include others."""
    return b"include" in text.lower()


async def site_texts(directory: DirectoryStore, domain: str) -> dict[str, bytes]:
    """The administrator's scripts for people of a domain: those of all, and the domain's own before them (RFC 6609
    3.2). Raises StoreError.
    """
    owners = ("", domain) if domain else ("",)
    return {row.name: row.text for owner in owners for row in await directory.site_scripts(owner)}


async def library_of(filters: FilterStore, text: bytes, directory: DirectoryStore, domain: str) -> Library:
    """What a script may include; nothing is read when it does not speak of it. Raises StoreError."""
    if not includes(text):
        return Library({}, {})
    own = {each.name: await filters.script(each.name) for each in await filters.scripts()}
    return Library(own, await site_texts(directory, domain))


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
        row = await self._directory.account(self._account.id)
        domain = domain_of(row.login) if row is not None else ""
        library = await library_of(self._account.filters, text, self._directory, domain)
        return check(text, library, self.limits)

    async def put(self, name: str, text: bytes) -> None:
        """Insert or replace. Raises BadScriptName, BadScript, TooManyScripts, OverQuota."""
        check_name(name)
        faults = await self.faults(text)
        if faults:
            raise BadScript(faults)
        await self._tell()
        await self._account.filters.put_script(name, text, self._kept)

    async def room_for(self, name: str, octets: int) -> str:
        """RFC 5804 2.5: why a script of this size cannot be kept: "MAXSCRIPTS", "MAXSIZE"; "" when it can.

        Raises BadScriptName.
        """
        check_name(name)
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


class SiteScripts:
    """The administrator's scripts, for scripts to include: of all people, or of those of a domain."""

    __slots__ = ("_directory", "limits")

    def __init__(self, directory: DirectoryStore, limits: Limits = DEFAULT) -> None:
        self._directory = directory
        self.limits = limits

    async def all(self, owner: str) -> tuple[SiteScriptRow, ...]:
        """By name. owner: a domain, or "" for the server."""
        return await self._directory.site_scripts(owner)

    async def get(self, owner: str, name: str) -> SiteScriptRow:
        """Raises NotFound."""
        for row in await self._directory.site_scripts(owner):
            if row.name == name:
                return row
        raise NotFound(f'there is no script "{name}"')

    async def faults(self, owner: str, text: bytes) -> tuple[Fault, ...]:
        """What is wrong with a script; what it includes of a person's own is not known yet."""
        return check(text, Library({}, await site_texts(self._directory, owner)), self.limits)

    async def put(self, owner: str, name: str, text: bytes, now: float) -> None:
        """Insert or replace. Raises BadScriptName, BadScript."""
        check_name(name)
        faults = await self.faults(owner, text)
        if faults:
            raise BadScript(faults)
        await self._directory.put_site_script(SiteScriptRow(owner=owner, name=name, text=text, changed=now))

    async def remove(self, owner: str, name: str) -> None:
        """Raises NotFound."""
        await self._directory.remove_site_script(owner, name)


def domain_of(login: str) -> str:
    """The domain of a log-in."""
    return login.rpartition("@")[2]


def check_name(name: str) -> None:
    """Raises BadScriptName."""
    why = bad_script_name(name)
    if why:
        raise BadScriptName(why)
