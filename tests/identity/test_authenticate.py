"""Logins: right, wrong, unknown, disabled, remembered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from argon2.exceptions import VerifyMismatchError

from postroom.config import Passwords
from postroom.identity import AccountDisabled, BadCredentials, Directory, Identity, PasswordsUnavailable
from postroom.identity.cache import VerdictCache
from postroom.identity.hashing import LONGEST_PASSWORD, InlineHasher, decoy, make_hasher
from postroom.store.api import StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.wire.sasl import derive_scram_keys

from .conftest import CHEAP, CountingHasher, StandingClock


@pytest.mark.parametrize("login", ["ann@example.com", "ANN@Example.COM", " ann@example.com "])
async def test_the_right_password_gives_the_account(identity: Identity, login: str) -> None:
    assert (await identity.authenticate(login, "ann's good password")).login == "ann@example.com"


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann@example.com", "ben's good password"),
        ("ann@example.com", ""),
        ("ann@example.com", "x" * (LONGEST_PASSWORD + 1)),
        ("ann@example.com", "a\x00b"),
        ("nobody@example.com", "ann's good password"),
        ("nobody@example.com", ""),
        ("not an address", "x"),
        ("", ""),
        ("ann", "ann's good password"),  # two domains are hosted: which ann?
        ("\udcff@example.com", "\udcff"),
    ],
)
async def test_all_else_is_refused_alike_and_costs_a_hash(
    identity: Identity, hasher: CountingHasher, login: str, password: str
) -> None:
    with pytest.raises(BadCredentials):
        await identity.authenticate(login, password)
    assert len(hasher.asked) == 1


async def test_an_account_without_password_is_closed(
    identity: Identity, directory: Directory, hasher: CountingHasher
) -> None:
    await directory.add_account("new@example.com")
    with pytest.raises(BadCredentials):
        await identity.authenticate("new@example.com", "")
    assert len(hasher.asked) == 1


async def test_a_login_without_domain_works_where_only_one_is_hosted(store: MemoryStore, clock: StandingClock) -> None:
    hasher = CountingHasher(CHEAP)
    directory = Directory(store, hasher, clock, CHEAP)
    await directory.add_domain("example.com")
    await directory.add_account("ann@example.com", "ann's good password")
    identity = Identity(store.directory, hasher, clock, CHEAP)
    assert (await identity.authenticate("Ann", "ann's good password")).login == "ann@example.com"


async def test_disabled_shows_only_to_who_knows_the_password(identity: Identity, directory: Directory) -> None:
    await directory.disable("ann@example.com")
    with pytest.raises(BadCredentials):
        await identity.authenticate("ann@example.com", "wrong password")
    with pytest.raises(AccountDisabled):
        await identity.authenticate("ann@example.com", "ann's good password")
    assert await identity.scram("ann@example.com") is None
    await directory.disable("ann@example.com", False)
    assert await identity.authenticate("ann@example.com", "ann's good password")


async def test_certificates_open_what_people_log_in_to(
    identity: Identity, directory: Directory, store: MemoryStore, hasher: CountingHasher
) -> None:
    assert (await identity.by_certificate("Ann@EXAMPLE.com")).login == "ann@example.com"
    await directory.add_account("new@example.com")  # without a password
    assert (await identity.by_certificate("new@example.com")).login == "new@example.com"
    row = await store.directory.account_by_login("new@example.com")
    assert row is not None
    await store.directory.put_account(replace(row, shared=True))
    for nobody in ("new@example.com", "ann", "nobody@example.com", "ann+x@example.com", "no address@", ""):
        with pytest.raises(BadCredentials):
            await identity.by_certificate(nobody)
    await directory.disable("ann@example.com")
    with pytest.raises(AccountDisabled):
        await identity.by_certificate("ann@example.com")
    assert hasher.asked == []


async def test_a_disabled_domain_closes_its_accounts(identity: Identity, directory: Directory) -> None:
    await directory.set_domain("example.com", disabled=True)
    with pytest.raises(AccountDisabled):
        await identity.authenticate("ann@example.com", "ann's good password")
    assert await identity.scram("ann@example.com") is None


async def test_verified_logins_are_remembered_for_a_while(
    identity: Identity, hasher: CountingHasher, clock: StandingClock
) -> None:
    for _ in range(3):
        await identity.authenticate("ann@example.com", "ann's good password")
    assert len(hasher.asked) == 1
    clock.time += CHEAP.cache_seconds
    await identity.authenticate("ann@example.com", "ann's good password")
    assert len(hasher.asked) == 2


async def test_wrong_logins_are_remembered_too(identity: Identity, hasher: CountingHasher) -> None:
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await identity.authenticate("ann@example.com", "last year's password")
    assert len(hasher.asked) == 1
    # unknown logins share one decoy hash, but a password tried on one is not answered faster on the next
    for login in ("x@example.com", "y@example.com"):
        with pytest.raises(BadCredentials):
            await identity.authenticate(login, "Summer2026!")
    assert len(hasher.asked) == 3


async def test_a_new_password_counts_at_once(identity: Identity, directory: Directory) -> None:
    await identity.authenticate("ann@example.com", "ann's good password")
    await directory.set_password("ann@example.com", "ann's new password")
    with pytest.raises(BadCredentials):
        await identity.authenticate("ann@example.com", "ann's good password")
    assert await identity.authenticate("ann@example.com", "ann's new password")


async def test_a_failing_hasher_is_a_temporary_error_and_not_remembered(
    identity: Identity, hasher: CountingHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(self: CountingHasher, stored: str, password: str) -> bool:
        raise PasswordsUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(CountingHasher, "verify", gone)
        with pytest.raises(StoreUnavailable):
            await identity.authenticate("ann@example.com", "ann's good password")
    assert await identity.authenticate("ann@example.com", "ann's good password")


async def test_scram_keys_are_those_of_the_password(identity: Identity) -> None:
    found = await identity.scram("ANN@example.com")
    assert found is not None
    row, keys = found
    assert row.login == "ann@example.com"
    assert keys == derive_scram_keys("ann's good password", keys.salt, keys.iterations)
    assert keys.iterations == CHEAP.scram_iterations
    assert await identity.scram("nobody@example.com") is None


def test_the_decoy_costs_what_a_real_hash_costs() -> None:
    passwords = Passwords()
    with pytest.raises(VerifyMismatchError):  # and not InvalidHash, which would be quick
        make_hasher(passwords).verify(decoy(passwords), "x")
    assert decoy(passwords).split("$")[:4] == make_hasher(passwords).hash("x").split("$")[:4]


def test_the_cache_forgets_the_oldest_first_and_keeps_right_and_wrong_apart(clock: StandingClock) -> None:
    cache = VerdictCache(b"k", 300, clock, capacity=2)
    right = cache.digest("right")
    cache.put(right, True)
    for number in range(5):
        cache.put(cache.digest("wrong", str(number)), False)
    assert cache.get(right) is True
    assert [cache.get(cache.digest("wrong", str(number))) for number in range(5)] == [None, None, None, False, False]


def test_digests_tell_texts_apart() -> None:
    cache = VerdictCache(b"k", 300, StandingClock())
    assert cache.digest("a", "bc") != cache.digest("ab", "c")
    assert cache.digest("a\0b") != cache.digest("a", "b")
    assert cache.digest("a") != VerdictCache(b"other", 300, StandingClock()).digest("a")
    assert cache.digest("a,", "b") != cache.digest("a", ",b")


class GatedHasher(CountingHasher):
    """Answers when it is told to."""

    __slots__ = ("gate",)

    async def verify(self, stored: str, password: str) -> bool:
        self.asked.append((stored, password))
        await self.gate.wait()
        return await InlineHasher.verify(self, stored, password)


async def test_a_storm_of_one_login_is_hashed_once(
    store: MemoryStore, directory: Directory, clock: StandingClock
) -> None:
    hasher = GatedHasher(CHEAP)
    hasher.gate = asyncio.Event()
    identity = Identity(store.directory, hasher, clock, CHEAP)
    login = "ann@example.com"
    storm = [asyncio.ensure_future(identity.authenticate(login, "ann's good password")) for _ in range(50)]
    wrong = [asyncio.ensure_future(identity.authenticate(login, "some wrong password")) for _ in range(5)]
    await asyncio.sleep(0)
    hasher.gate.set()
    assert {row.login for row in await asyncio.gather(*storm)} == {login}
    assert all(isinstance(one, BadCredentials) for one in await asyncio.gather(*wrong, return_exceptions=True))
    assert len(hasher.asked) == 2


async def test_who_hangs_up_does_not_fail_the_others(
    store: MemoryStore, directory: Directory, clock: StandingClock
) -> None:
    hasher = GatedHasher(CHEAP)
    hasher.gate = asyncio.Event()
    identity = Identity(store.directory, hasher, clock, CHEAP)
    login = "ann@example.com"
    storm = [asyncio.ensure_future(identity.authenticate(login, "ann's good password")) for _ in range(5)]
    for gone in storm[:2]:
        await asyncio.sleep(0)
        gone.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert gone.cancelled()
    assert len(hasher.asked) == 3
    hasher.gate.set()
    assert {row.login for row in await asyncio.gather(*storm[2:])} == {login}
    assert len(hasher.asked) == 3
