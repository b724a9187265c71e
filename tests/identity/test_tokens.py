"""Access tokens: their form, what is kept of them, and who they stand for."""

from __future__ import annotations

from hashlib import sha256

import pytest

from postroom.config import Passwords
from postroom.identity.errors import AccountDisabled, BadCredentials, BadValue
from postroom.identity.hashing import InlineHasher
from postroom.identity.service import Identity
from postroom.identity.tokens import Wish, make
from postroom.store.api import AccountRow, DomainRow
from postroom.store.memory.store import MemoryStore
from postroom.values.clock import SystemClock

ANN = AccountRow(id="a1", login="ann@x.test", created=0)


def test_only_a_digest_is_kept() -> None:
    text, row = make(ANN, Wish(name="shop", scopes=("read-events", "send")), 5.0, b"\xff" * 32)
    assert text.startswith("prt_")
    assert len(text) == 4 + 43
    assert row.digest == sha256(text.encode()).digest()
    assert text not in repr(row)
    assert (row.scopes, row.created, row.expires, row.account) == (("send", "read-events"), 5.0, 0.0, "a1")
    assert row.digest.hex().startswith(row.id)


@pytest.mark.parametrize("wish", [Wish(scopes=("admin",)), Wish(scopes=()), Wish(name="a\nb"), Wish(name="x" * 201)])
def test_wishes_that_cannot_be_met(wish: Wish) -> None:
    with pytest.raises(BadValue):
        make(ANN, wish, 0.0, bytes(32))


async def test_whose_token_it_is() -> None:
    store = MemoryStore()
    await store.directory.put_domain(DomainRow(name="x.test", created=0))
    await store.directory.put_account(ANN)
    passwords = Passwords(memory_kib=8, passes=1)
    identity = Identity(store.directory, InlineHasher(passwords), SystemClock(), passwords)
    text, row = make(ANN, Wish(expires=100.0), 0.0, bytes(32))
    await store.directory.put_token(row)
    assert await identity.by_token(text, 99.0) == (ANN, row)
    for wrong, now in ((text, 100.0), (text + "x", 0.0), ("", 0.0), ("\ud800", 0.0)):
        with pytest.raises(BadCredentials):
            await identity.by_token(wrong, now)
    await store.directory.put_domain(DomainRow(name="x.test", created=0, disabled=True))
    with pytest.raises(AccountDisabled):
        await identity.by_token(text, 0.0)
    await store.directory.remove_account("a1")
    with pytest.raises(BadCredentials):
        await identity.by_token(text, 0.0)
