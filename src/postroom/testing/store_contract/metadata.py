"""The contract of annotations (METADATA) and of special uses that change."""

from __future__ import annotations

import pytest

from postroom.store.api import (
    AccountStore,
    AnnotationLimits,
    Hint,
    NewAnnotation,
    NotFound,
    OverQuota,
    Store,
    TooManyAnnotations,
)
from postroom.testing.store_contract.build import named, open_account

LIMITS = AnnotationLimits(count=3, octets=100)


async def _put(account: AccountStore, mailbox: int, login: str, **values: bytes | None) -> int:
    changes = [NewAnnotation(login, name.replace("_", "/"), value) for name, value in values.items()]
    return await account.annotate(mailbox, changes, LIMITS)


async def _held(account: AccountStore, mailbox: int, login: str = "") -> dict[tuple[str, str], bytes | None]:
    return {(held.login, held.name): held.value for held in await account.annotations(mailbox, login)}


class AnnotationContract:
    """annotations, annotate, copy_annotations, annotated, annotation_octets, specialize."""

    async def test_set_change_remove(self, store: Store) -> None:
        account, inbox = await open_account(store)
        assert await account.annotations(inbox.id, "") == []
        await _put(account, inbox.id, "", comment=b"one", vendor_x_y=b"\0\r\n\xff")
        await _put(account, inbox.id, "", Comment=b"")
        assert await _held(account, inbox.id) == {("", "comment"): b"", ("", "vendor/x/y"): b"\0\r\n\xff"}
        await _put(account, inbox.id, "", vendor_X_y=None, never=None)
        assert await _held(account, inbox.id) == {("", "comment"): b""}

    async def test_whose_and_of_what(self, store: Store) -> None:
        """Shared ones are everybody's, private ones a log-in's; 0 is the account."""
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        await _put(account, inbox.id, "", comment=b"ours")
        await _put(account, inbox.id, "ann", comment=b"mine")
        await _put(account, inbox.id, "ben", comment=b"his")
        await _put(account, 0, "ann", comment=b"server")
        assert await _held(account, inbox.id) == {("", "comment"): b"ours"}
        assert await _held(account, inbox.id, "ann") == {("", "comment"): b"ours", ("ann", "comment"): b"mine"}
        assert await _held(account, inbox.id, "ben") == {("", "comment"): b"ours", ("ben", "comment"): b"his"}
        assert await _held(account, 0, "ann") == {("ann", "comment"): b"server"}
        assert await _held(account, trash.id, "ann") == {}
        assert await _held(account, 999, "ann") == {}

    async def test_limits_hold_for_all_or_nothing(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await _put(account, inbox.id, "", a=b"1", b=b"2")
        with pytest.raises(TooManyAnnotations):
            await _put(account, inbox.id, "", a=b"changed", c=b"3", d=b"4")
        with pytest.raises(OverQuota):
            await _put(account, inbox.id, "", a=b"x" * 98)
        assert await _held(account, inbox.id) == {("", "a"): b"1", ("", "b"): b"2"}
        await _put(account, inbox.id, "ann", a=b"1", b=b"2", c=b"3")  # each log-in has its own number
        await _put(account, inbox.id, "", a=None, c=b"3", d=b"4")
        await _put(account, 0, "ann", a=b"1", b=b"2", c=b"x" * 83)
        assert await account.annotation_octets() == 100
        with pytest.raises(OverQuota):
            await _put(account, inbox.id, "ann", a=b"12")
        await _put(account, inbox.id, "ann", a=b"2")

    async def test_limits_that_were_lowered_let_smaller_and_fewer_be(self, store: Store) -> None:
        account, inbox = await open_account(store)
        wide = AnnotationLimits(count=5, octets=1000)
        many = [NewAnnotation("", name, b"x" * 50) for name in "abcde"]
        await account.annotate(inbox.id, many, wide)
        await _put(account, inbox.id, "", a=b"y" * 50, b=b"short", c=None)
        with pytest.raises(OverQuota):
            await _put(account, inbox.id, "", b=b"longer")

    async def test_annotations_go_with_their_mailbox(self, store: Store) -> None:
        account, _ = await open_account(store)
        made = await account.create("a")
        await _put(account, made.id, "", comment=b"here")
        await account.rename(made.id, "b")
        assert await _held(account, made.id) == {("", "comment"): b"here"}
        await account.delete(made.id)
        assert await _held(account, made.id) == {}
        assert await account.annotation_octets() == 0
        with pytest.raises(NotFound):
            await _put(account, made.id, "", comment=b"gone")
        again = await account.create("b")
        assert await _held(account, again.id) == {}

    async def test_copy(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await _put(account, inbox.id, "", a=b"1", gone=b"x")
        await _put(account, inbox.id, "", gone=None)
        await _put(account, inbox.id, "ann", b=b"2")
        made = await account.create("copy")
        await account.copy_annotations(inbox.id, made.id)
        assert await _held(account, made.id, "ann") == {("", "a"): b"1", ("ann", "b"): b"2"}
        assert await _held(account, inbox.id, "ann") == {("", "a"): b"1", ("ann", "b"): b"2"}
        with pytest.raises(NotFound):
            await account.copy_annotations(inbox.id, 999)

    async def test_what_changed(self, store: Store) -> None:
        account, inbox = await open_account(store)
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        first = await _put(account, inbox.id, "", a=b"1", b=b"2")
        second = await _put(account, inbox.id, "ann", c=b"3")
        third = await _put(account, 0, "ben", d=b"4")
        fourth = await _put(account, inbox.id, "", a=None)
        end()
        assert first < second < third < fourth
        assert {hint.modseq for hint in hints if hint.mailbox == 0} >= {first, second, third, fourth}
        seen = [(held.mailbox, held.login, held.name, held.value) for held in await account.annotated("ann", 0)]
        assert seen == [(inbox.id, "", "b", b"2"), (inbox.id, "ann", "c", b"3"), (inbox.id, "", "a", None)]
        assert [held.modseq for held in await account.annotated("ann", first)] == [second, fourth]
        assert await account.annotated("ann", fourth) == []

    async def test_special_use_can_change(self, store: Store) -> None:
        account, _ = await open_account(store)
        made = await account.create("Old mail")
        await account.specialize(made.id, "\\Archive")
        assert (await named(account, "Old mail")).special_use == "\\Archive"
        await account.specialize(made.id, "")
        assert (await named(account, "Old mail")).special_use == ""
        with pytest.raises(NotFound):
            await account.specialize(999, "\\Archive")
