"""Names to places: which account and mailbox a name means to a login, and what the login may do there.

A login sees realms. Its own account is one, whose names have no prefix; each account that others share with it is one
more, below a namespace: "Users/ann@example.org/" or "Shared/support@example.org/" stand before the names that the
mailboxes have in their account. A namespace gives realms on demand, so that nothing is opened that nobody names.
Whoever knows other mailboxes (the past of an account, say) adds a namespace: its realm has an Account around any
AccountStore, and the rights say what works: READING makes everything in it read-only.

Owns: nothing. A Place is true for the moment: rights are asked again at each use (`Realm.rights`), because they may
be taken away at any time. A login's own account costs none of this: its names are looked up as ever, with all rights.
Standards: RFC 2342 (namespaces), RFC 4314 4 (rights for each command) and 6: what a login may not see is not there,
whatever it asks, in the same words.
On failure: NoSuchMailbox; NoPermission where the mailbox may be seen, but this not be done; errors of mailbox.service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from postroom.mailbox import names
from postroom.mailbox.errors import NoPermission, NoSuchMailbox, NotAllowed
from postroom.store.api import EVERY_FLAG, Settable
from postroom.values import flags as octet
from postroom.values import rights as right

if TYPE_CHECKING:
    from postroom.mailbox.service import Account
    from postroom.store.api import MailboxInfo


Breathe = Callable[[], Awaitable[None]]


_ANY: Final = names.Matcher("", ["*"])


async def no_pause() -> None:
    """For lists that are short."""


class Realm(Protocol):
    """One account as one login meets it."""

    @property
    def prefix(self) -> str:
        """What stands before the names its mailboxes have in the account; "" or ending in the delimiter."""
        ...

    @property
    def account(self) -> Account:
        """Its mailboxes. Two realms with the same `account.store` can copy and move in one transaction."""
        ...

    async def rights(self, mailbox: int) -> int:
        """What the login may do with a mailbox now, as bits of values.rights; 0: with the top level (CREATE)."""
        ...


class Kind(Enum):
    """What NAMESPACE calls it (RFC 2342 5)."""

    PERSONAL = 0
    OTHER = 1
    SHARED = 2


class Namespace(Protocol):
    """Realms below one prefix."""

    @property
    def kind(self) -> Kind: ...

    @property
    def prefix(self) -> str:
        """Such as "Users/": one level and the delimiter. No mailbox of an own account can be made at or below it."""
        ...

    @property
    def shown(self) -> bool:
        """Its mailboxes count as subscribed to until the login unsubscribes from them."""
        ...

    async def realm(self, name: str) -> Realm | None:
        """The realm that this (normalised) name begins with the prefix of; None when there is none for this login."""
        ...

    def realms(self, wanted: Callable[[str], bool]) -> AsyncIterator[Realm]:
        """Those that may have something for this login, by prefix; `wanted` is asked for each prefix.

        It is asked before anything is opened for the realm, and its answers change while realms are looked at.
        """
        ...


#: a realm's prefix, and the mailboxes in it that the login may see ("l"), by name, without special uses
Overview = tuple[str, Sequence["MailboxInfo"]]


@runtime_checkable
class Surveyed(Protocol):
    """A namespace that can say what is in its realms without opening them, for lists."""

    def overviews(self, wanted: Callable[[str], bool]) -> AsyncIterator[Overview]:
        """By prefix; `wanted` as for `realms`."""
        ...


class Place(Struct, frozen=True):
    """A mailbox as a login meets it. info.name is its name within the account, `name` the login's."""

    realm: Realm
    info: MailboxInfo
    rights: int

    @property
    def name(self) -> str:
        """As the login calls it."""
        return self.realm.prefix + self.info.name

    @property
    def account(self) -> Account:
        """Whose it is."""
        return self.realm.account

    @property
    def id(self) -> int:
        """The mailbox's id in its account."""
        return self.info.id

    def require(self, needed: int) -> Place:
        """Itself, if the login has all of these rights. Raises NoPermission, NoSuchMailbox (RFC 4314 6)."""
        if self.rights & needed == needed:
            return self
        raise refusal(self.rights, self.name)

    def same_mailbox(self, other: Place) -> bool:
        """Both are one mailbox, whatever its names."""
        return self.info.id == other.info.id and self.account.id == other.account.id


class Home:
    """The realm of a login's own account: all rights, no prefix."""

    __slots__ = ("account",)

    prefix: Final = ""

    def __init__(self, account: Account) -> None:
        self.account: Final = account

    async def rights(self, _mailbox: int) -> int:
        return right.ALL


class Places:
    """Everything one login can name. Callers pass names as the client wrote them."""

    __slots__ = ("home", "namespaces", "own")

    def __init__(self, own: Account, namespaces: Sequence[Namespace] = ()) -> None:
        self.own: Final = own
        self.home: Final = Home(own)
        self.namespaces: Final = tuple(namespaces)

    async def find(self, name: str, needed: int = right.NONE) -> Place:
        """The mailbox of this name. needed: rights without which the login cannot have it for its purpose.

        Raises NoSuchMailbox, NoPermission.
        """
        name = names.normalize(name)
        for namespace in self.namespaces:
            if name.startswith(namespace.prefix):
                return (await self._foreign(namespace, name)).require(needed)
        return self.own_place(await self.own.find(name))

    def is_foreign(self, name: str) -> bool:
        """Is the name one of a namespace of others', whether there is such a mailbox or not?"""
        name = names.normalize(name)
        return any(name.startswith(namespace.prefix) for namespace in self.namespaces)

    async def _foreign(self, namespace: Namespace, name: str) -> Place:
        realm = await namespace.realm(name)
        if realm is None:
            raise no_such(name)
        info = await realm.account.store.mailbox(names.normalize(name[len(realm.prefix) :]))
        rights = await realm.rights(info.id) if info is not None else 0
        if info is None or not rights:
            raise no_such(name)
        return Place(realm, info, rights)

    # --- listing

    async def list(self, matches: names.Matcher | None = None, breathe: Breathe = no_pause) -> list[names.Listed]:
        """Every name that may be seen, own ones first, as names.hierarchy; of others only what can match.

        breathe: called between two accounts.
        """
        found = await self.own.list()
        for namespace in self.namespaces:
            found += await _listed(namespace, matches or names.Matcher("", ["*"]), breathe)
        return found

    async def realms_at(self, wanted: Iterable[str]) -> AsyncIterator[Realm]:
        """The realms of others that these (normalised) names lie in or stand above, each once."""
        found: set[str] = set()
        for namespace in self.namespaces:
            for name in wanted:
                path = name + names.DELIMITER
                if path == namespace.prefix:
                    async for realm in namespace.realms(_ANY):
                        if realm.prefix not in found:
                            found.add(realm.prefix)
                            yield realm
                elif path.startswith(namespace.prefix):
                    one = await namespace.realm(path)
                    if one is not None and one.prefix not in found:
                        found.add(one.prefix)
                        yield one

    def own_place(self, info: MailboxInfo) -> Place:
        """A mailbox of the own account."""
        return Place(self.home, info, right.ALL)

    async def siblings(self, place: Place) -> Sequence[names.Listed]:
        """The list of the account that a mailbox is in."""
        if place.realm is self.home:
            return await self.own.list()
        return _below(place.realm.prefix, [info for info, _ in await seen(place.realm)])

    # --- subscriptions (RFC 9051 6.3.7)

    async def subscribed(self, breathe: Breathe = no_pause) -> frozenset[str]:
        """The names the login is subscribed to, whether there are such mailboxes or not, and those that are shown.

        Programs ask for subscribed mailboxes only; so what was given to the login is there without its doing anything.
        """
        chosen = await self.own.store.subscriptions()
        shown: set[str] = set()
        for namespace in self.namespaces:
            if namespace.shown:
                shown.update(one.name for one in await _listed(namespace, _ANY, breathe) if one.info is not None)
        return chosen | (shown - await self.own.store.refusals()) if shown else chosen

    async def is_subscribed(self, place: Place) -> bool:
        """As `subscribed` has it, for one mailbox."""
        if place.name in await self.own.store.subscriptions():
            return True
        return self._shows(place.name) and place.name not in await self.own.store.refusals()

    async def subscribe(self, name: str, wanted: bool) -> None:
        """Subscribe or unsubscribe. Raises NoSuchMailbox for a name not known so far, and as Account.subscribe."""
        if wanted and names.normalize(name) not in await self.own.store.subscriptions():
            await self.find(name, right.LOOKUP)
        await self.own.subscribe(name, wanted, remember=self._shows(names.normalize(name)))

    def _shows(self, name: str) -> bool:
        return any(name.startswith(namespace.prefix) and namespace.shown for namespace in self.namespaces)

    # --- names

    async def create(self, name: str, special_use: Sequence[str] = ()) -> Place:
        """Make a mailbox and the levels above it. Raises what Account.create does; NoPermission without "k" above."""
        realm, local = await self._for_new(name)
        await self._may_create(realm, local)
        info = await realm.account.create(local, special_use)
        return Place(realm, info, await realm.rights(info.id))

    async def delete(self, name: str) -> Place:
        """Remove a mailbox with its messages (recoverable); what it was. Raises as Account.delete; needs "x"."""
        place = await self.find(name, right.DELETE_MAILBOX)
        await place.account.delete(place.info.name)
        return place

    async def rename(self, name: str, target: str) -> Place:
        """Rename with everything below. Raises as Account.rename; needs "x" for the mailbox, "k" above the new name."""
        place = await self.find(name, right.DELETE_MAILBOX)
        realm, local = await self._for_new(target)
        if realm.account.id != place.account.id:
            raise NotAllowed("A mailbox cannot be renamed into another account; copy its messages")
        await self._may_create(realm, local)
        info = await realm.account.rename(place.info.name, local)
        return Place(realm, info, await realm.rights(info.id))

    async def _for_new(self, name: str) -> tuple[Realm, str]:
        """The realm that a mailbox of this name would be in, and its name there."""
        normal = names.normalize(name)
        for namespace in self.namespaces:
            if (normal + names.DELIMITER).startswith(namespace.prefix):
                realm = await namespace.realm(normal)
                if realm is None:
                    raise NotAllowed(f"No mailboxes can be made at this place; {namespace.prefix!r} is for others'")
                return realm, name[len(realm.prefix) :]
        return self.home, name

    async def _may_create(self, realm: Realm, local: str) -> None:
        """RFC 4314 4: "k" on the nearest mailbox above that there is. Raises NoPermission, NoSuchMailbox."""
        if realm is self.home:
            return
        above = 0
        for parent in reversed(names.parents(names.normalize(local))):
            info = await realm.account.store.mailbox(parent)
            if info is not None:
                above = info.id
                break
        rights = await realm.rights(above)
        if not rights & right.CREATE:
            raise refusal(rights, realm.prefix + local)


async def _listed(namespace: Namespace, matches: names.Matcher, breathe: Breathe) -> list[names.Listed]:
    """A namespace's part of the list; nothing when the login sees nothing below it."""
    top = namespace.prefix.removesuffix(names.DELIMITER)
    if not matches.below(namespace.prefix) and not matches(top):
        return []
    found: list[names.Listed] = []

    def wanted(prefix: str) -> bool:
        """Once there is something, others do not matter for whether the top has children."""
        return not found or matches.below(prefix) or matches(prefix.removesuffix(names.DELIMITER))

    overviews = namespace.overviews(wanted) if isinstance(namespace, Surveyed) else _overviews(namespace, wanted)
    async for prefix, visible in overviews:
        if visible:
            found += _below(prefix, visible)
        await breathe()
    if found and found[0].name != top:
        found.insert(0, names.Listed(top, None, True, root=True))
    return found


async def _overviews(namespace: Namespace, wanted: Callable[[str], bool]) -> AsyncIterator[Overview]:
    """For a namespace that has to open its realms."""
    async for realm in namespace.realms(wanted):
        yield realm.prefix, [info for info, _ in await seen(realm)]


async def seen(realm: Realm) -> list[tuple[MailboxInfo, int]]:
    """The mailboxes of a realm that the login may see ("l"), with its rights.

    Special uses are the owner's, and not told: a client must not file its own sent mail there.
    """
    found = []
    for info in await realm.account.store.mailboxes():
        rights = await realm.rights(info.id)
        if rights & right.LOOKUP:
            found.append((replace(info, special_use=""), rights))
    return found


def _below(prefix: str, visible: Sequence[MailboxInfo]) -> list[names.Listed]:
    """The level of a realm, and its mailboxes below it."""
    return [
        names.Listed(prefix.removesuffix(names.DELIMITER), None, True, root=True),
        *[
            names.Listed(prefix + listed.name, listed.info, listed.has_children, foreign=True)
            for listed in names.hierarchy(visible)
        ],
    ]


def no_such(name: str) -> NoSuchMailbox:
    """The one answer for what is not there and for what may not be seen."""
    return NoSuchMailbox(f"There is no mailbox {name[:200]!r}")


def refusal(rights: int, name: str) -> NoSuchMailbox | NoPermission:
    """Why a login with these rights may not do what it asked."""
    if rights & right.LOOKUP:
        return NoPermission("You do not have the right to do this")
    return no_such(name)


def may_set(rights: int) -> Settable:
    """The flags that a login with these rights may set or clear."""
    if rights == right.ALL:
        return EVERY_FLAG
    return Settable(settable(rights), bool(rights & right.WRITE))


def settable(rights: int) -> int:
    r"""The system flags that a login with these rights may change (RFC 4314 4: "s" \Seen, "t" \Deleted, "w" others)."""
    bits = octet.VISIBLE & ~(octet.SEEN | octet.DELETED) if rights & right.WRITE else 0
    if rights & right.SEEN:
        bits |= octet.SEEN
    return bits | octet.DELETED if rights & right.DELETE_MESSAGE else bits
