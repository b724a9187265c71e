"""Rules for people: written as Sieve that does what they say, and read back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.sieve.compiler import check, compile_script
from postroom.sieve.describe import describe
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.rules import (
    Away,
    BadRules,
    Condition,
    Do,
    Forward,
    NotRules,
    Rule,
    Rules,
    check_forwards,
    read,
    write,
)
from postroom.sieve.world import Environment

MAIL = Mail.of(
    b"From: Ann <ann@far.test>\r\nTo: bob@here.test\r\nSubject: the minutes\r\nList-Id: <x.far.test>\r\n\r\nhello\r\n"
)
EXAMPLE = Rules(
    away=Away(
        text="Weg.\nBis bald",
        outside="Away",
        domains=("here.test",),
        subject="Weg",
        start="2026-11-01",
        until="2026-12-24",
    ),
    forward=Forward(to=("home@away.test",), copy=True),
    rules=(
        Rule(
            name="lists",
            when=(Condition(field="list", op="contains", value="far.test"),),
            then=(Do(what="flag", value="\\Seen"), Do(what="file", value="Lists/Far")),
            stop=False,
        ),
        Rule(
            name="big or odd",
            when=(
                Condition(field="size", op="over", value="1048576"),
                Condition(field="from", op="contains", value="ann", negated=True),
                Condition(field="header:x-odd", op="matches", value="*yes*"),
            ),
            then=(Do(what="reject", value="No\nreally"),),
            any=True,
            on=False,
        ),
        Rule(name="rest", when=(), then=(Do(what="keep"),)),
    ),
)


def done(rules: Rules, now: float = 1795000000.0) -> list[str]:
    program = compile_script(write(rules))
    environment = Environment(sender="ann@far.test", recipient="bob@here.test", now=now)
    return [describe(action) for action in run_program(program, MAIL, environment).actions]


def test_rules_do_what_they_say() -> None:
    assert done(EXAMPLE) == [
        'vacation "Away" every 604800s subject "Weg" handle "handle:away-outside"',
        'redirect "home@away.test"',
        'fileinto "Lists/Far" create flags \\Seen',
        "keep flags \\Seen",
    ]
    assert done(EXAMPLE, now=1700000000.0)[0] == 'redirect "home@away.test"'


def test_forwarding_without_a_copy_ends_it() -> None:
    rules = Rules(forward=Forward(to=("home@away.test",), copy=False), rules=EXAMPLE.rules)
    assert done(rules) == ['redirect "home@away.test"']
    assert read(write(rules)) == rules


def test_they_are_read_back() -> None:
    assert read(write(EXAMPLE)) == EXAMPLE
    assert read(write(Rules())) == Rules()
    text = write(EXAMPLE)
    assert text.startswith("# Rules of postroom") and "# rule (off): big or odd" in text


def test_what_is_no_rules() -> None:
    text = write(EXAMPLE)
    for other in (
        "keep;",
        text + "discard;",
        text.replace("keep;", 'keep; removeflag "x";'),
        text.replace('"list-id"', '"list-post"').replace(":contains", ":regex"),
        "if {",
    ):
        with pytest.raises(NotRules):
            read(other)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(rules=(Rule(name="", when=(), then=(Do(what="keep"),)),)),
        Rules(rules=(Rule(name="a\nb", when=(), then=(Do(what="keep"),)),)),
        Rules(rules=(Rule(name="a", when=(), then=()),)),
        Rules(rules=(Rule(name="a", when=(), then=(Do(what="fly"),)),)),
        Rules(rules=(Rule(name="a", when=(), then=(Do(what="file"),)),)),
        Rules(rules=(Rule(name="a", when=(Condition(field="x", op="is", value=""),), then=(Do(what="keep"),)),)),
        Rules(rules=(Rule(name="a", when=(), then=(Do(what="keep"),)),) * 2),
        Rules(away=Away(text="a", outside="b")),
        Rules(away=Away(text=" ")),
        Rules(away=Away(text="a", start="tomorrow")),
        Rules(forward=Forward(to=())),
        Rules(away=Away(text="a", start="2026-12-24", until="2026-12-01")),
        Rules(away=Away(text="a", outside="b", domains=("not a domain",))),
        Rules(away=Away(text="a", addresses=("nonsense",))),
        Rules(rules=(Rule(name="a", when=(), then=(Do(what="flag", value="two words"),)),)),
        Rules(rules=(Rule(name="a", when=(), then=(Do(what="flag", value="\\Foo"),)),)),
    ],
)
def test_what_cannot_be_written(rules: Rules) -> None:
    with pytest.raises(BadRules):
        write(rules)


def test_flags_are_set_wherever_they_stand() -> None:
    then = (Do(what="file", value="Lists"), Do(what="flag", value="\\Flagged"))
    rules = Rules(rules=(Rule(name="a", when=(), then=then),))
    assert done(rules) == ['fileinto "Lists" create flags \\Flagged']
    assert read(write(rules)).rules[0].then == then[::-1]


def test_colleagues_are_those_who_are_answered() -> None:
    """Whoever writes a colleague's name into From must not be sent what is for colleagues."""
    rules = Rules(away=Away(text="Call 123", outside="Away", domains=("far.test",)))
    program = compile_script(write(rules))

    def answer(sender: str) -> str:
        found = run_program(program, MAIL, Environment(sender=sender, recipient="bob@here.test"))
        return describe(found.actions[0]).split('"')[1]

    assert answer("ann@far.test") == "Call 123"
    assert answer("eve@elsewhere.test") == "Away"


def test_how_many_addresses_a_message_is_forwarded_to() -> None:
    one = Rule(name="a", when=(), then=(Do(what="forward", value="c@away.test"),))
    rules = Rules(forward=Forward(to=("a@away.test", "b@away.test")), rules=(one,))
    check_forwards(rules, "bob@here.test", 3)
    with pytest.raises(BadRules, match="forwarded to 3 addresses"):
        check_forwards(rules, "bob@here.test", 2)
    with pytest.raises(BadRules, match="itself"):
        check_forwards(rules, "C@away.test", 3)


texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, blacklist_characters="\x7f"), min_size=1, max_size=12
)
names = texts.map(lambda text: " ".join("".join(c if c.isprintable() else "x" for c in text).split())).filter(bool)
conditions = st.one_of(
    st.builds(
        Condition,
        field=st.sampled_from(["from", "to", "subject", "list", "header:x-spam"]),
        op=st.sampled_from(["contains", "is", "matches"]),
        value=texts,
        negated=st.booleans(),
    ),
    st.builds(
        Condition, field=st.just("size"), op=st.sampled_from(["over", "under"]), value=st.integers(0, 2**40).map(str)
    ),
    st.builds(Condition, field=st.just("domain"), op=st.just("is"), value=texts, negated=st.booleans()),
    st.builds(Condition, field=st.just("body"), op=st.just("contains"), value=texts),
)
dos = st.one_of(
    st.builds(Do, what=st.just("file"), value=names),
    st.builds(Do, what=st.just("flag"), value=st.just("\\Flagged")),
    st.builds(Do, what=st.just("forward"), value=st.just("a@example.org"), copy=st.booleans()),
    st.builds(Do, what=st.sampled_from(["discard", "keep"])),
)
rule = st.builds(
    Rule,
    name=names,
    when=st.lists(conditions, max_size=3).map(tuple),
    then=st.lists(dos, min_size=1, max_size=3).map(lambda them: tuple(sorted(them, key=lambda do: do.what != "flag"))),
    any=st.booleans(),
    stop=st.booleans(),
    on=st.booleans(),
)
away = st.builds(
    Away,
    text=names,
    outside=names,
    domains=st.just(("a.test", "b.test")),
    subject=names,
    start=st.sampled_from(["", "2026-01-02"]),
    until=st.sampled_from(["", "2026-12-31"]),
    days=st.integers(1, 60),
    on=st.booleans(),
)


@given(st.none() | away, st.lists(rule, max_size=3, unique_by=lambda one: one.name))
@settings(max_examples=80, deadline=None)
def test_any_rules_are_good_sieve_and_read_back(one: Away | None, several: list[Rule]) -> None:
    rules = Rules(away=one, forward=Forward(to=("x@a.test", "y@a.test"), copy=False), rules=tuple(several))
    text = write(rules)
    assert not check(text)
    assert read(text) == rules
