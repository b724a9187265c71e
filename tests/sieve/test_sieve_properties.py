"""What holds for every script and every message: nothing crashes, what is printed is read back, limits hold."""

from __future__ import annotations

import re
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.sieve.compiler import check, compile_script
from postroom.sieve.faults import BadScript
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.parser import MOST_BLOCKS, MOST_TESTS, parse
from postroom.sieve.printer import dump
from postroom.sieve.regex import BadRegex, Regex
from postroom.sieve.run import Limits
from postroom.sieve.syntax import Command, Number, Script, Strings, Tag
from postroom.sieve.syntax import Test as Question
from postroom.sieve.wildcards import Wildcards

from .sieve_scripts import Maker, message

texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30).map(
    lambda text: re.sub(r"\r*\n", "\r\n", text)
)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "text")
strings = st.one_of(
    texts.map(lambda text: Strings((text,))),
    st.lists(texts, min_size=1, max_size=4).map(lambda items: Strings(tuple(items), True)),
)
arguments = st.lists(st.one_of(strings, st.integers(0, 2**62).map(Number), names.map(Tag)), max_size=3).map(tuple)
tests = st.recursive(
    st.builds(Question, names, arguments),
    lambda inner: st.one_of(
        st.builds(lambda name, args, test: Question(name, args, (test,)), names, arguments, inner),
        st.builds(
            lambda name, args, more: Question(name, args, tuple(more), True),
            names,
            arguments,
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=4,
)
_with_tests = st.one_of(st.just(((), False)), tests.map(lambda test: ((test,), False)))
comments = st.lists(st.from_regex(r"# [a-z ]{0,10}[a-z]", fullmatch=True), max_size=2).map(tuple)
commands = st.recursive(
    st.builds(
        lambda name, args, more, notes: Command(name, args, *more, None, notes), names, arguments, _with_tests, comments
    ),
    lambda inner: st.builds(
        lambda name, args, more, block, notes, after: Command(name, args, *more, tuple(block), notes, after),
        names,
        arguments,
        _with_tests,
        st.lists(inner, max_size=3),
        comments,
        comments,
    ),
    max_leaves=5,
)


@given(st.lists(commands, max_size=3), comments)
@settings(max_examples=40, deadline=None)
def test_what_is_printed_is_read_back(found: list[Command], after: tuple[str, ...]) -> None:
    script = Script(tuple(found), after)
    read, faults, _ = parse(dump(script))
    assert (read, faults) == (script, [])


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_octets_are_a_script_or_have_faults(octets: bytes) -> None:
    _ = check(octets)


PIECES = st.sampled_from(
    [
        '"',
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ";",
        "if ",
        "elsif ",
        "not ",
        "allof",
        "header ",
        ":is ",
        ":matches ",
        "10K ",
        "/*",
        "*/",
        "#\n",
        "text:\n",
        ".\n",
        'require ["fileinto","variables","ihave","foreverypart","include","regex"];',
        '"a" ',
        '"${a}" ',
        "set ",
        "fileinto ",
        "keep;",
        "stop;",
        'ihave "x"',
        "foreverypart ",
        'include "a";',
        "break;",
        "true ",
        "\\",
        "\n",
        "else ",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=100, deadline=None)
def test_any_pieces_are_a_script_or_have_faults(text: str) -> None:
    try:
        program = compile_script(text)
    except BadScript as bad:
        assert bad.faults
        for fault in bad.faults:
            assert fault.line >= 1 and fault.column >= 1 and fault.text
        return
    run_program(program, Mail.of(b"Subject: a\r\n\r\nb"))


@given(st.binary(max_size=400), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_any_message_is_filed(octets: bytes, seed: int) -> None:
    result = run_program(compile_script(Maker(Random(seed)).script(5)), Mail.of(octets))
    assert result.actions and not result.error


@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=5)), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_damaged_script_ends(seed: int, damage: list[tuple[int, bytes]]) -> None:
    script = bytearray(Maker(Random(seed)).script(3).encode())
    for at, octets in damage:
        script[at : at + len(octets)] = octets
    if not check(bytes(script)):
        run_program(compile_script(bytes(script)), Mail.of(message(Random(seed))))


# patterns

_GLOB = st.text("ab?*\\", max_size=8)


def _as_expression(pattern: str) -> re.Pattern[str]:
    out, at = [], 0
    while at < len(pattern):
        if pattern[at] == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 1
        else:
            out.append({"*": "(.*?)", "?": "(.)"}.get(pattern[at], re.escape(pattern[at])))
        at += 1
    return re.compile("".join(out), re.DOTALL)


@given(_GLOB, st.text("ab\\?*", max_size=10))
@settings(max_examples=300, deadline=None)
def test_wildcards_agree_with_expressions(pattern: str, text: str) -> None:
    spans = Wildcards(pattern).match(text)
    expected = _as_expression(pattern).fullmatch(text)
    assert (spans is None) == (expected is None)
    if spans is not None and expected is not None:
        assert [text[start:end] for start, end in spans] == list(expected.groups())


_EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$"]),
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("({})*".format, inner),
        st.builds("({})+".format, inner),
        st.builds("({})?".format, inner),
        st.builds("({}){{1,2}}".format, inner),
        st.builds("{}{}".format, inner, inner),
        st.builds("({}|{})".format, inner, inner),
    ),
    max_leaves=5,
)


@given(_EXPRESSIONS, st.text("abc", max_size=7))
@settings(max_examples=300, deadline=None)
def test_expressions_agree_with_those_of_the_library(pattern: str, text: str) -> None:
    found = Regex(pattern, str).search(text, lambda units: None, captures=True)
    expected = re.search(pattern.replace("$", r"\Z"), text)
    assert (found is None) == (expected is None)
    if found and expected:
        start, end = found[0]
        assert start == expected.start() and end >= expected.end()  # leftmost, and the longest
        assert re.compile(f"(?:{pattern.replace('$', chr(92) + 'Z')})").fullmatch(text, start, end) or "$" in pattern
        assert all(start <= first <= last <= end for first, last in found[1:] if (first, last) != (0, 0))


@given(st.text("ab()[]{}*+?|^$\\.,1", max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_expression_is_read_or_refused(pattern: str) -> None:
    try:
        Regex(pattern, str).search("abab", lambda units: None, captures=True)
    except BadRegex as fault:
        assert str(fault)


# limits

MAIL = Mail.of(b"Subject: " + b"a" * 900 + b"\r\nFrom: a@example.org\r\n\r\n" + b"a" * 20_000)


@pytest.mark.parametrize(
    "test",
    [
        'header :regex "subject" "(a*)*b"',
        'header :regex "subject" "(a|a|a|a)*b"',
        'header :regex "subject" "((a{0,10}){0,10}){0,5}b"',
        'body :raw :regex "(a?){200}a{200}b"',
        'body :raw :matches "' + "*a" * 300 + '*b"',
        'header :matches "subject" "' + "?*" * 300 + 'b"',
        'header :contains "subject" [' + ",".join(f'"{n}"' for n in range(5000)) + "]",
    ],
)
def test_nothing_runs_away(test: str) -> None:
    program = compile_script(f'require ["regex", "body", "variables"]; if {test} {{ discard; }}')
    begin = time.process_time()
    result = run_program(program, MAIL, limits=Limits(steps=200_000))
    assert time.process_time() - begin < 3
    assert not result.error or "too many steps" in result.error


def test_budget_ends_a_run() -> None:
    source = 'require ["body"]; ' + 'if body :contains "x" { discard; } ' * 2000
    result = run_program(compile_script(source), MAIL, limits=Limits(steps=5_000))
    assert result.out_of_budget and [str(type(action).__name__) for action in result.actions] == ["Keep"]


def test_the_clock_ends_a_run() -> None:
    ticks = iter(range(1000))
    source = 'require ["body"]; ' + 'if body :contains "x" { discard; } ' * 2000
    result = run_program(compile_script(source), MAIL, limits=Limits(seconds=1.0), clock=lambda: float(next(ticks)))
    assert result.out_of_budget and "seconds" in result.error


def test_nesting_is_bounded() -> None:
    assert not check("if true {" * (MOST_BLOCKS - 1) + "}" * (MOST_BLOCKS - 1))
    assert any("nested too deep" in fault.text for fault in check("if true {" * 5000 + "}" * 5000))
    assert not check("if " + "not " * (MOST_TESTS - 2) + "true { }")
    assert any("nested too deep" in fault.text for fault in check("if " + "not " * 5000 + "true { }"))
    assert check("(" * 5000) and check("[" * 5000) and check("{" * 5000)


def test_large_scripts_are_refused() -> None:
    assert "octets" in check("#" * (1024 * 1024 + 1))[0].text
    assert not check("# x\n" * 250_000)


def test_too_many_variables_and_actions() -> None:
    many = "".join(f'set "v{n}" "x";' for n in range(300))
    assert "variables" in run_program(compile_script('require "variables";' + many), MAIL).error
    filed = "".join(f'fileinto "f{n}";' for n in range(33))
    assert "actions" in run_program(compile_script('require "fileinto";' + filed), MAIL).error


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_printed_program_does_the_same(seed: int) -> None:
    rng = Random(seed)
    mail = Mail.of(message(rng))
    program = Maker(rng).program()
    tree, faults, _ = parse(program)
    assert faults == []
    printed = run_program(compile_script(dump(tree)), mail)
    assert not printed.error and printed.actions == run_program(compile_script(program), mail).actions


@given(st.binary(max_size=400), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_any_message_goes_through_any_program(octets: bytes, seed: int) -> None:
    result = run_program(compile_script(Maker(Random(seed)).program()), Mail.of(octets))
    assert result.actions and not result.error
