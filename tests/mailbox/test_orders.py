"""Answers of SORT and THREAD that are kept: true or unknown, and bounded."""

from __future__ import annotations

from array import array

from postroom.mailbox.orders import LEAST, About, Orders

BOX = ("ann", 1, 77)


def uids(first: int, count: int) -> array[int]:
    return array("I", range(first, first + count))


def test_an_answer_is_known_for_the_same_messages_only() -> None:
    orders = Orders()
    orders.keep(About(BOX, uids(1, LEAST)), "date", b"1 2 3")
    assert orders.find(About(BOX, uids(1, LEAST)), "date") == b"1 2 3"
    assert orders.find(About(BOX, uids(1, LEAST)), "size") is None
    for other in (uids(1, LEAST + 1), uids(2, LEAST), uids(1, LEAST - 1)):
        assert orders.find(About(BOX, other), "date") is None
    for box in (("ben", 1, 77), ("ann", 2, 77), ("ann", 1, 78)):
        assert orders.find(About(box, uids(1, LEAST)), "date") is None


def test_what_else_it_rests_on_must_be_the_same() -> None:
    orders, about = Orders(), About(BOX, uids(1, LEAST))
    orders.keep(about, "thread", b"(1)", uids(1, LEAST))
    assert orders.find(about, "thread", uids(1, LEAST)) == b"(1)"
    assert orders.find(about, "thread", uids(5, LEAST)) is None
    assert orders.find(about, "thread") is None


def test_a_new_answer_takes_the_place_of_the_old() -> None:
    orders = Orders()
    for count in (LEAST, LEAST + 1, LEAST):
        orders.keep(About(BOX, uids(1, count)), "date", uids(0, count))
        held = orders.octets
    assert orders.find(About(BOX, uids(1, LEAST)), "date") == uids(0, LEAST)
    again = Orders()
    again.keep(About(BOX, uids(1, LEAST)), "date", uids(0, LEAST))
    assert again.octets == held


def test_few_messages_are_not_kept() -> None:
    orders = Orders()
    orders.keep(About(BOX, uids(1, LEAST - 1)), "date", b"1")
    assert orders.octets == 0


def test_the_least_asked_for_go_first_and_large_ones_are_not_kept() -> None:
    orders = Orders(most=20_000)
    for question in "abc":
        orders.keep(About(BOX, uids(1, 1000)), question, b"x" * 1000)
        assert orders.find(About(BOX, uids(1, 1000)), "a") is not None
    assert orders.octets <= 20_000
    orders.keep(About(BOX, uids(1, 1000)), "d", b"x" * 1000)
    assert orders.octets <= 20_000
    known = [each for each in "abcd" if orders.find(About(BOX, uids(1, 1000)), each)]
    assert known == ["a", "c", "d"]
    orders.keep(About(BOX, uids(1, 1000)), "e", b"x" * 9000)
    assert orders.find(About(BOX, uids(1, 1000)), "e") is None
    orders.keep(About(BOX, uids(1, 1000)), "a", b"x" * 9000)  # an answer that is out of date is not kept either
    assert orders.find(About(BOX, uids(1, 1000)), "a") is None
