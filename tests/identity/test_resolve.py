"""What addresses stand for."""

from __future__ import annotations

import pytest

from postroom.identity import Closed, Directory, Hosted, Identity, NotHosted, Target, Unknown
from postroom.identity.errors import NoSuchAccount
from postroom.identity.model import Permit, Sending
from postroom.identity.routing import MOST_TARGETS
from postroom.store.api import AccountRow, AliasRow, GroupRow
from postroom.store.memory import MemoryStore
from postroom.values.address import Address

from .conftest import CHEAP, CountingHasher, StandingClock

ANN = Target("ann@example.com", "id1")
BEN = Target("ben@example.com", "id2")
CARLA = Target("carla@example.org", "id3")


async def put(store: MemoryStore, address: str, *members: str, disabled: bool = False) -> None:
    """As another program, or an older version, may have left it."""
    await store.directory.put_alias(AliasRow(address=address, members=members, created=0, disabled=disabled))


async def targets(identity: Identity, address: str) -> tuple[Target, ...]:
    answer = await identity.resolve(Address.parse(address))
    assert isinstance(answer, Hosted), answer
    return answer.targets


async def test_accounts_in_any_case(identity: Identity) -> None:
    assert await targets(identity, "ann@example.com") == (ANN,)
    assert await targets(identity, "ANN@EXAMPLE.com") == (Target("ANN@example.com", "id1"),)


async def test_detail_is_kept_for_delivery(identity: Identity) -> None:
    assert await targets(identity, "ann+lists+x@example.com") == (Target("ann+lists+x@example.com", "id1"),)
    found = await identity.find("ann+Lists+x@example.com")
    assert found is not None
    assert (found.row.id, found.detail, found.folders) == ("id1", "Lists+x", "off")
    assert isinstance(await identity.resolve(Address.parse("+lists@example.com")), Unknown)


async def test_an_account_named_with_a_plus_is_found_first(identity: Identity, directory: Directory) -> None:
    await directory.add_account("ann+shop@example.com")
    assert await targets(identity, "ann+shop@example.com") == (Target("ann+shop@example.com", "id4"),)


async def test_outside_and_unknown(identity: Identity) -> None:
    assert isinstance(await identity.resolve(Address.parse("ann@elsewhere.example")), NotHosted)
    assert isinstance(await identity.resolve(Address.parse("zoe@example.com")), Unknown)
    assert await identity.is_hosted("example.com")
    assert not await identity.is_hosted("elsewhere.example")
    assert await identity.find("zoe@example.com") is None
    assert await identity.find("no address") is None


async def test_aliases_reach_everybody_once(identity: Identity, directory: Directory) -> None:
    await directory.add_alias("sales@example.com", ["ann@example.com", "carla@example.org"])
    await directory.add_alias("all@example.com", ["sales@example.com", "ben@example.com", "Out@elsewhere.example"])
    assert await targets(identity, "All@example.com") == (ANN, CARLA, BEN, Target("Out@elsewhere.example", None))
    assert await targets(identity, "sales+x@example.com") == (ANN, CARLA)


async def test_loops_are_cut(identity: Identity, store: MemoryStore) -> None:
    await put(store, "a@example.com", "b@example.com", "ann@example.com")
    await put(store, "b@example.com", "a@example.com", "ben@example.com", "broken member")
    assert await targets(identity, "a@example.com") == (BEN, ANN)
    await put(store, "self@example.com", "self@example.com")
    assert isinstance(await identity.resolve(Address.parse("self@example.com")), Unknown)


async def test_expansion_ends_somewhere(identity: Identity, store: MemoryStore) -> None:
    for number in range(20):
        await put(store, f"l{number}@example.com", f"l{number + 1}@example.com")
    await put(store, "l20@example.com", "ann@example.com")
    assert isinstance(await identity.resolve(Address.parse("l0@example.com")), Unknown)
    assert await targets(identity, "l11@example.com") == (ANN,)
    await put(store, "crowd@example.com", *(f"m{number}@elsewhere.example" for number in range(MOST_TARGETS + 500)))
    assert len(await targets(identity, "crowd@example.com")) == MOST_TARGETS


async def test_disabled_aliases_and_domains_take_no_mail_but_disabled_accounts_do(
    identity: Identity, directory: Directory
) -> None:
    await directory.add_alias("sales@example.com", ["ann@example.com"])
    await directory.set_alias("sales@example.com", disabled=True)
    assert isinstance(await identity.resolve(Address.parse("sales@example.com")), Unknown)
    await directory.disable("ann@example.com")
    assert await targets(identity, "ann@example.com") == (ANN,)
    await directory.set_domain("example.com", disabled=True)
    assert await identity.resolve(Address.parse("ann@example.com")) == Closed("example.com")
    accepted_before = await identity.find("ann@example.com")
    assert accepted_before is not None
    assert accepted_before.row.disabled
    await directory.set_domain("example.com", receives=True)
    assert await targets(identity, "ann@example.com") == (ANN,)


async def test_domain_aliases(identity: Identity, directory: Directory) -> None:
    await directory.add_domain("example.net", alias_of="Example.com")
    await directory.add_alias("sales@example.com", ["ann@example.com", "ben+x@example.net"])
    assert await targets(identity, "Ann+x@example.net") == (Target("Ann+x@example.net", "id1"),)
    assert await targets(identity, "sales@example.net") == (ANN, Target("ben+x@example.net", "id2"))
    assert isinstance(await identity.resolve(Address.parse("zoe@example.net")), Unknown)
    assert await targets(identity, "postmaster@example.net") == (ANN,)
    found = await identity.find("ann+shop@example.net")
    assert found is not None
    assert (found.row.id, found.detail) == ("id1", "shop")
    ann = found.row
    for address, allowed in (("ann@example.net", True), ("sales@example.net", True), ("ben@example.net", False)):
        assert await identity.may_send_as(ann, Address.parse(address)) is allowed
    assert await identity.authenticate("ann@example.net", "ann's good password") == ann
    await directory.set_domain("example.com", catch_all="ben@example.com")
    assert await targets(identity, "whoever@example.net") == (BEN,)
    await directory.set_domain("example.net", disabled=True)
    assert await identity.resolve(Address.parse("ann@example.net")) == Closed("example.net")
    assert await targets(identity, "ann@example.com") == (ANN,)
    await directory.set_domain("example.net", disabled=False)
    await directory.set_domain("example.com", disabled=True)
    assert await identity.resolve(Address.parse("ann@example.net")) == Closed("example.com")


async def test_separators_of_a_domain(identity: Identity, directory: Directory) -> None:
    await directory.set_domain("example.com", separators="-+")
    await directory.add_account("ann-marie@example.com")
    for address, owner, detail in (
        ("ann-list@example.com", "id1", "list"),
        ("ann-marie@example.com", "id4", ""),
        ("ann-marie-x@example.com", "id4", "x"),
        ("ann-mariex@example.com", "id1", "mariex"),
        ("ann+a-b@example.com", "id1", "a-b"),
        ("ann-@example.com", "id1", ""),
    ):
        found = await identity.find(address)
        assert found is not None, address
        assert (found.row.id, found.detail) == (owner, detail), address
        assert found.name == ("ann" if owner == "id1" else "ann-marie")
        assert found.separators == "-+"
    assert await identity.find("-ann@example.com") is None
    await directory.set_domain("example.com", separators="", detail_folders="create")
    assert await identity.find("ann+list@example.com") is None
    found = await identity.find("ann@example.com")
    assert found is not None
    assert found.folders == "create"
    await directory.set_account("ann@example.com", detail_folders="existing")
    found = await identity.find("ann@example.com")
    assert found is not None
    assert found.folders == "existing"
    assert await identity.find("carla-x@example.org") is None


async def test_mail_for_a_deleted_account_is_refused_in_spite_of_a_catch_all(
    identity: Identity, directory: Directory
) -> None:
    await directory.set_domain("example.com", catch_all="ben@example.com")
    await directory.delete_account("ann@example.com")
    assert isinstance(await identity.resolve(Address.parse("ann@example.com")), Unknown)
    assert await targets(identity, "whoever@example.com") == (BEN,)
    await directory.purge_account("ann@example.com")
    assert await targets(identity, "ann@example.com") == (BEN,)


async def test_catch_all(identity: Identity, directory: Directory) -> None:
    await directory.set_domain("example.com", catch_all="Ben@example.com")
    assert await targets(identity, "whoever@example.com") == (BEN,)
    assert await targets(identity, "ann@example.com") == (ANN,)
    with pytest.raises(NoSuchAccount, match="neither an account nor an alias"):
        await directory.set_domain("example.com", catch_all="gone@example.com")
    assert await targets(identity, "whoever@example.com") == (BEN,)
    await directory.remove_account("ben@example.com")
    assert isinstance(await identity.resolve(Address.parse("whoever@example.com")), Unknown)


async def test_postmaster_always_reaches_somebody(
    identity: Identity, directory: Directory, store: MemoryStore, clock: StandingClock
) -> None:
    assert await targets(identity, "Postmaster@example.com") == (ANN,)
    assert await targets(identity, "postmaster@example.org") == (CARLA,)
    assert await targets(identity, "postmaster@mail.example.net") == (ANN,)  # bare <postmaster>
    assert isinstance(await identity.resolve(Address.parse("postmaster@elsewhere.example")), NotHosted)
    await directory.add_domain("empty.example")
    assert await targets(identity, "postmaster@empty.example") == (ANN,)
    await directory.disable("ann@example.com")
    assert await targets(identity, "postmaster@example.com") == (BEN,)
    configured = Identity(
        store.directory, CountingHasher(CHEAP), clock, CHEAP, hostname="x", postmaster="ops@elsewhere.example"
    )
    assert await targets(configured, "postmaster@example.com") == (Target("ops@elsewhere.example", None),)
    await directory.add_alias("postmaster@example.com", ["ben@example.com"])
    assert await targets(configured, "postmaster@example.com") == (BEN,)


async def test_postmaster_of_an_empty_house(store: MemoryStore, clock: StandingClock) -> None:
    identity = Identity(store.directory, CountingHasher(CHEAP), clock, CHEAP, hostname="mail.example.net")
    assert isinstance(await identity.resolve(Address.parse("postmaster@mail.example.net")), Unknown)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (None, True),
        ("ann@example.com", True),
        ("Ann+shop@example.com", True),
        ("ben@example.com", False),
        ("sales@example.com", True),
        ("sales+x@example.com", True),
        ("board@example.com", False),
        ("ann@elsewhere.example", False),
        ("nobody@example.com", False),
        ("postmaster@example.com", False),
    ],
)
async def test_whose_address_it_is(
    identity: Identity, directory: Directory, store: MemoryStore, address: str | None, allowed: bool
) -> None:
    await directory.add_alias("sales@example.com", ["ann@example.com", "ben@example.com"])
    await directory.add_alias("board@example.com", ["carla@example.org"])
    ann = await store.directory.account("id1")
    assert ann is not None
    assert await identity.may_send_as(ann, Address.parse(address) if address else None) is allowed


async def test_who_may_use_the_address_of_another(identity: Identity, directory: Directory, store: MemoryStore) -> None:
    support = await directory.add_shared("support@example.com")
    await directory.add_alias("help@example.com", ["support@example.com"])
    await store.directory.put_group(GroupRow(address="team@example.com", members=("ben@example.com",), created=0.0))
    ann, ben = [await store.directory.account_by_login(f"{name}@example.com") for name in ("ann", "ben")]
    assert ann is not None
    assert ben is not None

    async def kind(row: AccountRow, address: str = "support@example.com") -> Sending:
        return (await identity.permit(row, Address.parse(address))).kind

    assert await kind(ann) is Sending.NO
    await store.directory.put_delegate(support.id, "ann@example.com", "behalf")
    await store.directory.put_delegate(support.id, "group:team@example.com", "as")
    assert await kind(ann) is await kind(ann, "help@example.com") is Sending.ON_BEHALF
    assert await kind(ben) is await kind(ben, "Support+x@example.com") is Sending.AS
    assert await identity.permit(ben, Address.parse("help@example.com")) == Permit(Sending.AS, support)
    assert not await identity.may_send_as(ann, Address.parse("support@example.com"))
    assert await identity.may_send_as(ben, Address.parse("support@example.com"))
    await directory.disable("support@example.com")
    assert await kind(ann) is await kind(ben) is Sending.NO
    await directory.disable("support@example.com", False)
    await store.directory.remove_group("team@example.com")
    assert await kind(ben) is Sending.NO
