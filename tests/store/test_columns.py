"""Packed columns and their arithmetic against plain lists."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.store.api import FlagOp, Page
from postroom.store.embedded import codec, columns
from postroom.store.embedded.columns import Bits

item = st.tuples(
    st.integers(0, 255), st.integers(0, 2**64 - 1), st.integers(0, 2**63), st.integers(1, 2**63 - 1),
    st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1),
)  # fmt: skip
items = st.lists(item, max_size=30)
uid_set = st.lists(st.integers(1, 120), unique=True, max_size=60).map(sorted)


def page_of(found: list[tuple[int, ...]], first: int = 1) -> Page:
    return Page(
        array("I", range(first, first + 2 * len(found), 2)),
        bytes(one[0] for one in found),
        array("Q", [one[1] for one in found]),
        array("Q", [one[2] for one in found]),
        array("Q", [one[3] for one in found]),
        array("I", [one[4] for one in found]),
        array("q", [one[5] for one in found]),
        array("I", [one[6] for one in found]),
    )


def plain(page: Page) -> list[tuple[int, ...]]:
    return list(
        zip(
            page.uids,
            page.flags,
            page.keywords,
            page.modseqs,
            page.messages,
            page.sizes,
            page.dates,
            page.saved,
            strict=True,
        )
    )


@given(items)
def test_pages_come_back_as_packed(found: list[tuple[int, ...]]) -> None:
    page = page_of(found)
    assert plain(codec.unpack_page(codec.pack_fixed(page), codec.pack_flags(page))) == plain(page)


@given(st.integers(1, 30), st.integers(0, 255), st.integers(0, 2**60))
def test_equal_columns_are_packed_small(count: int, flags: int, modseq: int) -> None:
    page = page_of([(flags, 0, modseq, number, 1, 1, 1) for number in range(1, count + 1)])
    packed = codec.pack_flags(page)
    assert len(packed) == 1 + count + 8
    assert plain(codec.unpack_page(codec.pack_fixed(page), packed)) == plain(page)


@pytest.mark.parametrize("fixed, flags", [(b"x" * 27, b"\0"), (b"x" * 28, b"\0"), (b"x" * 28, b"\0\0" + b"x" * 16)])
def test_damage_is_noticed(fixed: bytes, flags: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        codec.unpack_page(fixed, flags)


@given(uid_set)
def test_uid_sets(uids: list[int]) -> None:
    packed = codec.pack_uids(uids)
    assert list(codec.unpack_uids(packed)) == uids
    assert len(packed) <= 1 + 4 * len(uids) or len(uids) == 1


def test_a_long_run_of_uids_is_short() -> None:
    assert len(codec.pack_uids(range(1, 100_000))) == 9
    assert list(codec.unpack_uids(codec.pack_uids([4_294_967_295]))) == [4_294_967_295]


@given(items, uid_set)
def test_mask_choose_inverse(found: list[tuple[int, ...]], wanted: list[int]) -> None:
    page = page_of(found, 11)
    if not found:
        return
    mask = columns.mask_of(page, array("I", wanted)) or bytes(len(page))
    assert [uid for uid, chosen in zip(page.uids, mask, strict=True) if chosen] == [
        uid for uid in page.uids if uid in wanted
    ]
    chosen = [row for row in plain(page) if row[0] in wanted]
    rest = [row for row in plain(page) if row[0] not in wanted]
    assert plain(columns.choose(page, mask)) == chosen
    assert plain(columns.choose(page, columns.inverse(mask))) == rest
    assert plain(columns.join([page, columns.cut(page, 0, 2)])) == plain(page) + plain(page)[:2]


@settings(max_examples=100)
@given(
    items.filter(bool), uid_set, st.sampled_from(FlagOp), st.integers(0, 31), st.sampled_from((0, 1, 6)),
    st.none() | st.integers(0, 2**63),
)  # fmt: skip
def test_change_flags(
    found: list[tuple[int, ...]], wanted: list[int], op: FlagOp, bits: int, keywords: int, since: int | None
) -> None:
    page = page_of(found)
    mask = columns.mask_of(page, array("I", wanted)) or bytes(len(page))
    new, uids, modified = columns.change_flags(page, mask, Bits(op, bits, keywords, since), 2**63 + 5)
    expected, changed, refused = [], [], []
    for uid, flags, words, modseq, *rest in plain(page):
        after = (flags, words)
        if uid in wanted and since is not None and modseq > since:
            refused.append(uid)
        elif uid in wanted:
            after = {
                FlagOp.ADD: (flags | bits, words | keywords),
                FlagOp.REMOVE: (flags & ~bits, words & ~keywords),
                FlagOp.REPLACE: (flags & ~31 | bits, keywords),
            }[op]
        if after != (flags, words):
            changed.append(uid)
            modseq = 2**63 + 5
        expected.append((uid, *after, modseq, *rest))
    assert plain(new) == expected
    assert (list(uids), list(modified)) == (changed, refused)
    assert (new is page) == (not changed)
