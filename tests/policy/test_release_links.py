"""Links to release mail: only those made here, only for their message, only for a while."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.policy.release_links import BadLink, check, link, read_link, token

SECRET = b"s" * 32
ITEM = "06x3k2m9f1abc-0"


def test_a_link_is_good_for_its_message_until_its_end() -> None:
    text = link("https://mail.here.test/", token(SECRET, ITEM, "acc1", 2000.9))
    assert text.startswith("https://mail.here.test/quarantine/release?m=06x3k2m9f1abc-0.2000.")
    found = read_link(text)
    assert (found.item, found.until) == (ITEM, 2000)
    check(SECRET, found, "acc1", 1999.9)
    for secret, account, now in ((b"t" * 32, "acc1", 1.0), (SECRET, "acc2", 1.0), (SECRET, "", 1.0)):
        with pytest.raises(BadLink, match="not made here"):
            check(secret, found, account, now)
    with pytest.raises(BadLink, match="too old"):
        check(SECRET, found, "acc1", 2000.0)


def test_what_is_in_it_cannot_be_changed() -> None:
    good = token(SECRET, ITEM, "acc1", 2000)
    for other in (good.replace(".2000.", ".9000."), good.replace("abc-0", "abc-1")):
        with pytest.raises(BadLink):
            check(SECRET, read_link(other), "acc1", 1.0)


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_anything_else_is_no_link(text: str) -> None:
    with pytest.raises(BadLink):
        read_link(text)
