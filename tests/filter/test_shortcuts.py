"""What is looked for first, so that most texts are not searched as a whole, never changes what is found."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.filter import disguise, tokens
from postroom.filter.literals import literals, lowered, of_lowered
from postroom.filter.rules import Place, Rule
from postroom.message.index import index, only_part
from postroom.message.parts import Parts

LETTERS = st.text(alphabet="ab1 ./$_-!\n\u00e9", max_size=300)


@pytest.mark.parametrize("cores", [200, 2])
@given(LETTERS)
@example("v1agra v1.agra (v1agra) " * 30)
@example("a b c d e f g h i j k l m n o p q r s t u v w x y z " * 4)
@example("a1" * 200)
@settings(max_examples=60)
def test_disguised_words_are_those_of_the_whole_expression(cores: int, text: str) -> None:
    kinds = (
        (disguise._INSTEAD, disguise._INSTEAD_CORE, disguise._before_sign),
        (disguise._APART, disguise._APART_CORE, disguise._before_gap),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disguise, "_CORES", cores)
        for whole, core, begin in kinds:
            expected = [match[0] for match in whole.finditer(text)][: disguise._MOST]
            assert disguise._limited(whole, core, begin, text) == expected


@given(st.text(alphabet="abz09 '.-$!?,\n", max_size=200))
@example("a" * 95 + " " + "b" * 31 + ".c" * 5 + " don't. 'x' u.s.a.f free!!!!!! e-mail--no")
@settings(max_examples=100)
def test_words_of_ascii_are_those_of_any_text(text: str) -> None:
    assert tokens._words(text) == [word.encode() for word in tokens._any_words(text)]


def test_words_behind_those_that_are_looked_at_do_not_count() -> None:
    short, long = "ab " * 9_000, "abcdefghijklmno " * 2_500
    for text in (short, long, short[:23_999] + "cd" * 2_000):
        words = [word.encode() for word in tokens._any_words(text)]
        assert tokens._first_words(text) == words[: tokens._WORDS]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("viagra", {("viagra",)}),
        ("(?i)<FORM\\b[^<>]{0,9}\\baction=", {("<form",), ("action=",)}),
        ("foo|bar[0-9]+baz|.*quux", {("foo", "bar", "quux")}),
        ("(?:abc|d)x?", set()),
        ("[ab]{3}", set()),
        ("(?:load){2}(?:never)?(?:often)*", {("load",)}),
        ("über(?>alles)", {("ber",), ("alles",)}),
    ],
)
def test_what_must_stand_in_a_text(pattern: str, expected: set[tuple[str, ...]]) -> None:
    assert set(literals(pattern)) == expected


@pytest.mark.parametrize("text", ["LINK", "l\u0130nk", "l\u0131nk", "lin\u212a", "\u00c4 \u00df link"])
def test_letters_that_are_taken_for_others(text: str) -> None:
    assert re.search("(?i)link", text)
    assert literals("(?i)link")[0][0] in lowered(text)
    assert Place([Rule(name="X", where="html", pattern="(?i)link", text="x")]).find(text)
    assert Place([Rule(name="X", where="html", pattern="(?i)s{3}k", text="x")]).find("\u017fSs\u212a")


@given(
    st.sampled_from(["", "text/html; charset=utf-8", "TEXT/plain", "image/png", "multipart/x", "message/rfc822", ";"]),
    st.sampled_from(["", "base64", "Quoted-Printable", "8BIT (really)", "x-y"]),
)
def test_a_message_without_parts_is_read_as_its_index_says(kind: str, encoding: str) -> None:
    fields = {b"content-type": kind.encode(), b"content-transfer-encoding": encoding.encode()}
    fields = {name: value for name, value in fields.items() if value}
    head = b"".join(b"%b: %b\r\n" % field for field in fields.items()) + b"\r\n"
    found = only_part(fields, len(head), len(head) + 5)
    if kind.startswith(("multipart", "message")):
        assert found is None
    else:
        assert found == Parts.unpack(index(head + b"hello").parts).root


@pytest.mark.parametrize(
    ("pattern", "lower"),
    [
        ("(?i)<form\\b[^<>]{0,9}", "<form\\b[^<>]{0,9}"),
        ("(?i)(?:a|b)(?<!x)[a-z]\\S", "(?:a|b)(?<!x)[a-z]\\S"),
        ("<form", ""),
        ("(?i)FORM", ""),
        ("(?i)[5-_]x", ""),
        ("(?i)(?:a[!-~])x", ""),
        ("(?i)\\x41", ""),
        ("(?i)gr\u00fc\u00df", ""),
        ("(?i)a(?-i:b)", ""),
    ],
)
def test_expressions_for_text_in_lower_case(pattern: str, lower: str) -> None:
    assert of_lowered(pattern) == lower
