"""Names of several accounts: a second account plugged in read-only below a namespace of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from postroom.mailbox import names
from postroom.mailbox.errors import NoPermission, NoSuchMailbox, NotAllowed
from postroom.mailbox.places import Kind, Places, Realm, settable
from postroom.mailbox.service import Account, Mailboxes
from postroom.store.api import AccountRow
from postroom.store.memory import MemoryStore
from postroom.values import flags
from postroom.values import rights as right


class Other:
    """The realm of another account: rights by the name of the mailbox, "" for the top level."""

    def __init__(self, account: Account, rights: dict[str, int]) -> None:
        self.prefix = "Users/ben@example.org/"
        self.account = account
        self._rights = rights

    async def rights(self, mailbox: int) -> int:
        known = {info.id: info.name for info in await self.account.store.mailboxes()}
        return self._rights.get(known.get(mailbox, ""), 0)


class Users:
    kind = Kind.OTHER
    prefix = "Users/"

    def __init__(self, realm: Other) -> None:
        self._realm = realm

    async def realm(self, name: str) -> Realm | None:
        return self._realm if (name + "/").startswith(self._realm.prefix) else None

    async def realms(self, wanted: Callable[[str], bool]) -> AsyncIterator[Realm]:
        if wanted(self._realm.prefix):
            yield self._realm


class House:
    def __init__(self, places: Places, ben: Account, rights: dict[str, int]) -> None:
        self.places = places
        self.ben = ben
        self.rights = rights

    async def listed(self, pattern: str) -> list[str]:
        matches = names.Matcher("", [pattern])
        return [item.name for item in await self.places.list(matches) if matches(item.name)]


class Clock:
    def now(self) -> float:
        return 1.7e9

    def monotonic(self) -> float:
        return 1.0


@pytest.fixture
async def house() -> House:
    store = MemoryStore(Clock())
    mailboxes = Mailboxes(store, Clock(), lambda: "0" * 32)
    accounts = []
    for login in ("ann@example.org", "ben@example.org"):
        row = AccountRow(id=login[:3] * 4, login=login, created=0.0)
        await store.directory.put_account(row)
        await store.create_account(row.id, [("INBOX", ""), ("Sent", "\\Sent")])
        accounts.append(await mailboxes.open(row))
    own, ben = accounts
    for name in ("Projects/One", "Private"):
        await ben.create(name)
    rights = {"Projects/One": right.READING, "INBOX": right.ALL}
    return House(Places(own, [Users(Other(ben, rights))]), ben, rights)


async def test_own_names_need_no_rights(house: House) -> None:
    place = await house.places.find("inbox", right.ALL)
    assert (place.name, place.account, place.rights) == ("INBOX", house.places.own, right.ALL)


async def test_the_name_of_a_shared_mailbox_leads_to_its_account(house: House) -> None:
    place = await house.places.find("Users/ben@example.org/Projects/One/", right.READ)
    assert place.account is house.ben
    assert place.info.name == "Projects/One"
    assert place.name == "Users/ben@example.org/Projects/One"


async def test_what_may_not_be_seen_is_not_there(house: House) -> None:
    texts = set()
    for name in ("Private", "Nothing"):
        with pytest.raises(NoSuchMailbox) as caught:
            await house.places.find(f"Users/ben@example.org/{name}", right.READ)
        texts.add(str(caught.value).replace(name, "X"))
    with pytest.raises(NoSuchMailbox):
        await house.places.find("Users/eve@example.org/INBOX")
    assert len(texts) == 1


async def test_what_may_be_seen_says_that_a_right_is_missing(house: House) -> None:
    with pytest.raises(NoPermission):
        await house.places.find("Users/ben@example.org/Projects/One", right.INSERT)


async def test_rights_without_lookup_serve_their_purpose_and_no_other(house: House) -> None:
    house.rights["Private"] = right.INSERT
    assert (await house.places.find("Users/ben@example.org/Private", right.INSERT)).info.name == "Private"
    with pytest.raises(NoSuchMailbox):
        await house.places.find("Users/ben@example.org/Private", right.READ)
    assert "Users/ben@example.org/Private" not in await house.listed("*")


async def test_the_list_shows_the_levels_above_and_only_what_may_be_seen(house: House) -> None:
    own = ["INBOX", "Sent"]
    assert await house.listed("*") == [
        *own,
        "Users",
        "Users/ben@example.org",
        "Users/ben@example.org/INBOX",
        "Users/ben@example.org/Projects",
        "Users/ben@example.org/Projects/One",
    ]
    assert await house.listed("%") == [*own, "Users"]
    assert await house.listed("%/%") == ["Users/ben@example.org"]
    house.rights.clear()
    assert await house.listed("*") == own


async def test_special_uses_of_others_are_not_shown(house: House) -> None:
    house.rights["Sent"] = right.ALL
    found = [item.info for item in await house.places.list() if item.name.endswith("org/Sent")]
    assert [info.special_use for info in found if info] == [""]


async def test_making_mailboxes_needs_a_right_on_what_is_above(house: House) -> None:
    with pytest.raises(NoPermission):
        await house.places.create("Users/ben@example.org/Projects/One/Deeper")
    with pytest.raises(NoSuchMailbox):
        await house.places.create("Users/ben@example.org/New")
    with pytest.raises(NoSuchMailbox):
        await house.places.create("Users/ben@example.org/Private/New")
    place = await house.places.create("Users/ben@example.org/INBOX/New")
    assert place.info.name == "INBOX/New"
    house.rights["INBOX/New"] = right.LOOKUP
    with pytest.raises(NoPermission):
        await house.places.delete("Users/ben@example.org/INBOX/New")
    house.rights["INBOX/New"] = right.DELETE_MAILBOX
    moved = await house.places.rename("Users/ben@example.org/INBOX/New", "Users/ben@example.org/INBOX/Old")
    assert moved.name == "Users/ben@example.org/INBOX/Old"


@pytest.mark.parametrize("name", ["Users", "Users/", "Users/x", "Users/eve@example.org/x"])
async def test_nobody_makes_mailboxes_in_the_place_of_others(house: House, name: str) -> None:
    with pytest.raises(NotAllowed):
        await house.places.create(name)
    with pytest.raises(NotAllowed):
        await house.places.rename("Sent", name)


async def test_names_that_only_look_alike_are_own(house: House) -> None:
    assert (await house.places.create("Users2/x")).account is house.places.own
    assert (await house.places.create("users/x")).account is house.places.own


async def test_a_mailbox_does_not_change_its_account_by_renaming(house: House) -> None:
    with pytest.raises(NotAllowed):
        await house.places.rename("Sent", "Users/ben@example.org/INBOX/Sent")


@pytest.mark.parametrize(
    ("letters", "bits"),
    [
        ("lr", 0),
        ("s", flags.SEEN),
        ("t", flags.DELETED),
        ("w", flags.ANSWERED | flags.FLAGGED | flags.DRAFT),
        ("swt", flags.VISIBLE),
    ],
)
def test_flags_that_rights_let_change(letters: str, bits: int) -> None:
    assert settable(right.parse(letters)) == bits
