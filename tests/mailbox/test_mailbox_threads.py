"""THREAD against the RFC's own words, and the shape of what is printed."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from thread_model import Letter
from thread_model import references as model

from postroom.mailbox.slices import SLICE, Slices, sort_by_number, sort_places
from postroom.mailbox.threads import Forest, Letters, ordered_subject, references
from postroom.wire.imap.sort import ThreadPrinter


def end_of(slices: Slices[Forest]) -> Forest:
    while True:
        try:
            next(slices)
        except StopIteration as end:
            found: Forest = end.value
            return found


def printed(forest: Forest) -> str:
    printer = ThreadPrinter(range(1, forest.count + 1), forest.first, forest.following)
    return printer.threads(forest.roots).decode()


def threaded(letters: list[Letter]) -> str:
    flat: list[int] = []
    begins, ends = [], []
    for letter in letters:
        begins.append(len(flat))
        flat += [number(each) for each in letter.references]
        ends.append(len(flat))
    return printed(
        end_of(
            references(
                Letters(
                    sent=[letter.sent for letter in letters],
                    own=[number(letter.own) for letter in letters],
                    subject=[number(letter.subject) for letter in letters],
                    reply=[letter.reply for letter in letters],
                    begins=begins,
                    ends=ends,
                    references=flat,
                )
            )
        )
    )


def number(text: str) -> int:
    return int.from_bytes(text.encode(), "little")


def letter(own: str, *refs: str, subject: str = "", reply: bool = False, sent: int = 0) -> Letter:
    return Letter(own, refs, subject, reply, sent)


ids = st.sampled_from("abcdefgh")
letters_of = st.lists(
    st.builds(
        Letter,
        own=st.one_of(st.just(""), ids),
        references=st.lists(ids, max_size=4).map(tuple),
        subject=st.sampled_from(["", "x", "y"]),
        reply=st.booleans(),
        sent=st.integers(0, 5),
    ),
    max_size=9,
)


@settings(max_examples=300)
@given(letters_of)
@example([letter("a", "b"), letter("b", "a")])
@example([letter("a", "a", "a")])
@example([letter("a", subject="x", reply=True), letter("b", "h", subject="x"), letter("c", "h", subject="x")])
def test_references_as_the_rfc_words_it(letters: list[Letter]) -> None:
    assert threaded(letters) == model(letters)


def test_a_thousand_at_random() -> None:
    rng = random.Random(5256)
    letters = [
        Letter(
            f"m{place}",
            tuple(f"m{rng.randrange(max(place - 40, 0), place + 3)}" for _ in range(rng.randrange(4))),
            rng.choice(["", "x", "y", f"s{place}"]),
            rng.random() < 0.4,
            rng.randrange(500),
        )
        for place in range(1000)
    ]
    assert threaded(letters) == model(letters)


def test_what_is_printed() -> None:
    """RFC 5256 4: the examples of the THREAD response."""
    # 3 and 6 (here 2 and 3), then 4 23 and 44 7 96
    chain = [
        letter("2", sent=1),
        letter("3", sent=2),
        letter("6", "3", sent=3),
        letter("4", "3", "6", sent=4),
        letter("23", "6", "4", sent=5),
        letter("44", "3", "6", sent=6),
        letter("7", "44", sent=7),
        letter("96", "7", sent=8),
    ]
    assert threaded(chain) == "(1)(2 3 (4 5)(6 7 8))"
    assert threaded([letter("3", "gone"), letter("5", "gone")]) == "((1)(2))"
    assert threaded([]) == ""


def test_a_reply_joins_by_its_subject() -> None:
    alone = [letter("a", subject="x", sent=1), letter("b", subject="x", reply=True, sent=2)]
    assert threaded(alone) == "(1 2)"
    assert threaded([alone[0], alone[1]._replace(reply=False)]) == "((1)(2))"
    assert threaded([alone[0]._replace(reply=True), alone[1]]) == "((1)(2))"
    # what comes first but is the reply goes below the one that is none
    assert threaded([alone[1]._replace(sent=0), alone[0]]) == "(2 1)"


def test_loops_and_graphs_that_cost_are_survived() -> None:
    count = 3000
    ring = [letter(f"{place}", f"{(place + 1) % count}") for place in range(count)]
    assert threaded(ring).count("(") == 1  # a chain: the last link would close the ring
    rng = random.Random(1)
    wild = [letter(f"{at}", *[f"{rng.randrange(count)}" for _ in range(40)], sent=at) for at in range(count)]
    numbers = threaded(wild).replace("(", " ").replace(")", " ").split()
    assert sorted(map(int, numbers)) == list(range(1, count + 1))


def test_a_deep_thread_is_printed_without_recursion() -> None:
    count = 50_000
    deep = [letter(f"{place}", *([f"{place - 1}"] if place else []), sent=place) for place in range(count)]
    assert threaded(deep) == "(" + " ".join(map(str, range(1, count + 1))) + ")"


def test_ordered_subject() -> None:
    subject, sent = [1, 2, 1, 2, 3, 1], [5, 1, 4, 9, 7, 6]
    assert printed(end_of(ordered_subject(subject, sent))) == "(2 4)(3 (1)(6))(5)"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_ordered_subject_as_the_rfc_words_it(letters: list[tuple[int, int]]) -> None:
    order = sorted(range(len(letters)), key=lambda place: (*letters[place], place))
    threads: dict[int, list[int]] = {}
    for place in order:
        threads.setdefault(letters[place][0], []).append(place)
    text = ""
    for members in sorted(threads.values(), key=lambda found: (letters[found[0]][1], found[0])):
        head, *rest = [str(place + 1) for place in members]
        shown = f" {rest[0]}" if len(rest) == 1 else " " + "".join(f"({each})" for each in rest) if rest else ""
        text += f"({head}{shown})"
    subject, sent = [each[0] for each in letters], [each[1] for each in letters]
    assert printed(end_of(ordered_subject(subject, sent))) == text


@given(st.integers(0, 3 * SLICE), st.booleans(), st.integers(1, 1000))
@settings(max_examples=20)
def test_sorting_in_slices_is_sorting(count: int, reverse: bool, spread: int) -> None:
    values = [place * 7919 % spread for place in range(count)]
    places = list(range(count))
    for _ in sort_places(places, values.__getitem__, reverse=reverse):
        pass
    assert places == sorted(range(count), key=values.__getitem__, reverse=reverse)


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(2**53 - 2, 2**53 + 2), st.integers(0, 9))))
def test_numbers_of_any_size_are_sorted_exactly(numbers: list[int]) -> None:
    for reverse in (False, True):
        places = list(range(len(numbers)))
        for _ in sort_by_number(places, numbers, reverse=reverse):
            pass
        assert places == sorted(range(len(numbers)), key=numbers.__getitem__, reverse=reverse)
