"""App passwords: what is kept of them, whom they let in, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postroom.config import Passwords
from postroom.identity import Directory, Identity
from postroom.identity.app_passwords import Wish, add, digest, keys_of, of
from postroom.identity.errors import AccountDisabled, AppPasswordRefused, BadValue
from postroom.identity.tokens import Wish as TokenWish
from postroom.identity.tokens import make
from postroom.servers.login import Exchange, Kind, LoginRefused, Logins, unwelcome
from postroom.store.api import AccountRow, TokenRow
from postroom.store.memory import MemoryStore
from postroom.wire.sasl import ScramKeys

from .conftest import CHEAP, StandingClock

ANN = "ann@example.com"


async def made(store: MemoryStore, login: str = ANN, seed: int = 1, **wish: Any) -> tuple[str, TokenRow]:
    row = await store.directory.account_by_login(login)
    assert row is not None
    return await add(store.directory, row, Wish(**wish), 5.0, bytes(range(seed, seed + 34)), CHEAP)


async def test_only_a_digest_is_kept_and_it_can_be_typed(store: MemoryStore, identity: Identity) -> None:
    text, row = await made(store, name="Phone", protocols=("smtp", "imap"))
    assert len(text) == 34
    assert text.count("-") == 6
    assert row.scopes == ("imap", "smtp")
    assert text not in repr(row)
    assert digest(text) == digest(text.upper().replace("-", " ")) == digest(text.replace("-", ""))
    assert digest(text[:-1]) is digest("correct horse battery") is digest("é" * 28) is None
    for typed in (text, text.replace("-", "").upper()):
        found = await identity.app_password("ANN@example.com", typed, "imap", "192.0.2.1")
        assert found is not None
        assert (found[0].login, found[1].id) == (ANN, row.id)


async def test_it_opens_its_own_account_and_protocols_only(
    store: MemoryStore, identity: Identity, clock: StandingClock
) -> None:
    text, _ = await made(store, protocols=("imap",), networks=("192.0.2.0/24", "2001:db8::1"), expires=clock.time + 1)
    assert await identity.app_password("ben@example.com", text, "imap", "192.0.2.1") is None
    assert await identity.app_password("nobody@example.com", text, "imap", "192.0.2.1") is None
    assert await identity.app_password(ANN, text, "imap", "2001:db8::1") is not None
    for service, ip, says in (
        ("submission", "192.0.2.1", "for imap only"),
        ("http", "192.0.2.1", "for imap only"),
        ("imap", "198.51.100.1", "may not be used from 198.51.100.1"),
        ("imap", "", "may not be used from"),
    ):
        with pytest.raises(AppPasswordRefused, match=says):
            await identity.app_password(ANN, text, service, ip)
        assert await identity.app_keys(ANN, service, ip) is None
    clock.time += 1
    with pytest.raises(AppPasswordRefused, match="is over"):
        await identity.app_password(ANN, text, "imap", "192.0.2.1")


async def test_a_disabled_account_stays_closed(store: MemoryStore, identity: Identity, directory: Directory) -> None:
    text, _ = await made(store)
    row = await directory.account(ANN)
    await store.directory.put_account(replace(row, disabled=True))
    with pytest.raises(AccountDisabled):
        await identity.app_password(ANN, text, "imap", "")
    assert await identity.app_keys(ANN, "imap", "") is None


async def test_tokens_are_no_app_passwords(store: MemoryStore, identity: Identity, directory: Directory) -> None:
    row = await directory.account(ANN)
    _, token = make(row, TokenWish(), 0.0, bytes(32))
    await store.directory.put_token(token)
    assert await of(store.directory, row.id) == []
    text, _ = await made(store)
    with pytest.raises(Exception, match="token"):
        await identity.by_token(text, 0.0)


@pytest.mark.parametrize(
    "wish", [{"protocols": ("http",)}, {"protocols": ()}, {"name": "a\nb"}, {"networks": ("x",)}, {"name": "x" * 201}]
)
async def test_what_cannot_be(store: MemoryStore, directory: Directory, wish: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        await made(store, **wish)


async def test_there_is_an_end(store: MemoryStore, directory: Directory) -> None:
    row = await directory.account(ANN)
    few = Passwords(app_passwords=1)
    await add(store.directory, row, Wish(), 0.0, bytes(34), few)
    with pytest.raises(BadValue, match="1 of 1"):
        await add(store.directory, row, Wish(), 0.0, bytes(range(34)), few)
    with pytest.raises(BadValue, match="nobody logs in"):
        await add(store.directory, replace(row, shared=True), Wish(), 0.0, bytes(34), CHEAP)


async def test_all_keys_of_an_account_have_one_salt(
    store: MemoryStore, identity: Identity, directory: Directory
) -> None:
    await made(store)
    await directory.set_password(ANN, "another good password")
    await made(store, seed=9)
    main = await identity.scram(ANN)
    apps = await identity.app_keys(ANN, "imap", "")
    assert main is not None
    assert apps is not None
    assert len({(keys.salt, keys.iterations) for keys in (main[1], *map(keys_of, apps[1]))}) == 1
    assert len({keys.stored_key for keys in (main[1], *map(keys_of, apps[1]))}) == 3


class Link:
    peer = ("192.0.2.1", 5)
    tls = None
    loopback = True


class Throttle:
    def __init__(self) -> None:
        self.told: list[str] = []

    def before(self, ip: str, login: str) -> float:
        return 0.0

    def text(self, ip: str) -> str:
        return ""

    def failed(self, ip: str, login: str, password: str = "") -> None:
        self.told.append("failed")

    def succeeded(self, ip: str, login: str) -> None:
        self.told.append("succeeded")


def logins(identity: Identity, service: str, told: list[Any]) -> Logins:
    return Logins(
        service=service,
        identity=identity,
        throttle=Throttle(),
        log=lambda name, **fields: told.append((name, fields)),
        nonce=lambda: "n" * 24,
        decoy=b"decoy",
        plaintext_on_loopback=True,
        used=lambda row, what: told.append((row.login, what)),
    )


async def enter(desk: Logins, link: Any, password: str, mechanism: str) -> AccountRow:
    from scramp import ScramClient

    exchange = Exchange(desk, link, mechanism)
    if mechanism == "PLAIN":
        done = await exchange.start(b"\0" + ANN.encode() + b"\0" + password.encode())
    else:
        client = ScramClient([mechanism], ANN, password)
        challenge = await exchange.start(client.get_client_first().encode())
        client.set_server_first(challenge.decode())  # type: ignore[union-attr]
        verifier = await exchange.step(client.get_client_final().encode())
        client.set_server_final(verifier.decode())  # type: ignore[union-attr]
        done = await exchange.step(b"")
    assert isinstance(done, AccountRow)
    return done


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_sessions_end_when_it_is_taken_back(
    store: MemoryStore, identity: Identity, directory: Directory, mechanism: str
) -> None:
    told: list[Any] = []
    _, token = await made(store)
    other, second = await made(store, seed=7)
    desk, link, plain = logins(identity, "imap", told), Link(), Link()
    row = await enter(desk, link, other, mechanism)
    assert told == [
        (ANN, f"{second.id} imap"),
        (
            "login.succeeded",
            {
                "service": "imap",
                "ip": "192.0.2.1",
                "login": ANN,
                "mechanism": mechanism,
                "app_password": second.id,
            },
        ),
    ]
    await enter(desk, plain, "ann's good password", mechanism)
    assert dict(desk.opened) == {link: second.digest}
    await store.directory.remove_token(row.id, token.id)
    assert await unwelcome(store.directory, row.id, desk.opened[link]) == ""
    await store.directory.remove_token(row.id, second.id)
    assert await unwelcome(store.directory, row.id, desk.opened[link]) == "This app password was withdrawn"
    assert await unwelcome(store.directory, row.id) == ""
    with pytest.raises(LoginRefused) as refused:
        await enter(desk, Link(), other, mechanism)
    assert refused.value.kind is Kind.WRONG
    await enter(desk, link, "ann's good password", mechanism)
    assert dict(desk.opened) == {}


async def test_the_wrong_place_is_told_and_counts_as_no_guess(
    store: MemoryStore, identity: Identity, directory: Directory
) -> None:
    text, _ = await made(store, protocols=("smtp",))
    desk = logins(identity, "imap", [])
    with pytest.raises(LoginRefused, match="for smtp only") as refused:
        await desk.password(Link(), ANN, text)  # type: ignore[arg-type]
    assert refused.value.kind is Kind.FORBIDDEN
    assert desk.throttle.told == []  # type: ignore[attr-defined]
    assert await enter(logins(identity, "submission", []), Link(), text, "SCRAM-SHA-256")


async def test_an_account_without_a_password_of_its_own(
    store: MemoryStore, identity: Identity, directory: Directory
) -> None:
    row = replace(await directory.account(ANN), password="", scram=b"")
    await store.directory.put_account(row)
    text, token = await made(store)
    assert isinstance(keys_of(token), ScramKeys)
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        assert (await enter(logins(identity, "imap", []), Link(), text, mechanism)).login == ANN
