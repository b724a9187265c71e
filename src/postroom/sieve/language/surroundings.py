"""environment, spamtest, virustest, duplicate: what is known besides the message.

Standards: RFC 5183 4, RFC 5235 3, RFC 7352 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from postroom.sieve.actions import Remember
from postroom.sieve.language.headers import FIELD_NAME
from postroom.sieve.matching import counting, matcher
from postroom.sieve.texts import get
from postroom.sieve.words import MATCH, Call, Kind, Question, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

_DAY: Final = 86_400
#: RFC 7352 3.3: how long it is remembered when the script does not say, and at most
_USUAL, _LONGEST = 7 * _DAY, 60 * _DAY


def _environment(call: Call) -> Question:
    name, match, counted = call.text(0), matcher(call, 1), counting(call)

    def environment(run: Run) -> bool:
        value = run.env.items.get(get(name, run).lower())
        if value is None:
            return False  # RFC 5183 4: whatever it is compared with
        return match(run, () if counted and not value else (value,))

    return environment


def _spamtest(call: Call) -> Question:
    percent, match, counted = call.has("percent"), matcher(call, 0), counting(call)

    def spamtest(run: Run) -> bool:
        score = run.env.spam
        if score is None:
            return match(run, () if counted else ("0",))
        score = min(max(score, 0.0), 100.0)
        # RFC 5235 3.2.1: 1 is clear, 10 is certain
        return match(run, (str(int(score)) if percent else str(1 + int(score * 9 / 100)),))

    return spamtest


def _virustest(call: Call) -> Question:
    match, counted = matcher(call, 0), counting(call)
    return lambda run: match(run, () if counted and not run.env.virus else (str(run.env.virus),))


def _unique_id(call: Call) -> Callable[[Run], str | None]:
    """RFC 7352 3.1: what the message is known by; None when it has no such thing."""
    given, header = call.tag_text("uniqueid"), call.tag_text("header")
    if given is not None:
        return lambda run: get(given, run)

    def field(run: Run) -> str | None:
        name = "message-id" if header is None else get(header, run).lower()
        values = run.header.values(name) if FIELD_NAME.fullmatch(name) else ()
        return values[0] if values else None

    return field


def _duplicate(call: Call) -> Question:
    handle, seconds, last = call.tag_text("handle") or "", call.tag_number("seconds"), call.has("last")
    period = _USUAL if seconds is None else min(seconds, _LONGEST)
    unique_id = _unique_id(call)

    def duplicate(run: Run) -> bool:
        found = unique_id(run)
        if found is None or not period:
            return False
        name = get(handle, run)
        key = f"{len(name)}:{name}:{found}"
        seen = run.world.seen(key)
        if last or not seen:
            run.remember(Remember(key=key, seconds=period, last=last))
        return seen

    return duplicate


TESTS: Final = (
    Word(
        name="environment",
        build=_environment,
        usage='environment "location" "MDA"',
        takes=(Kind.STRING, Kind.STRINGS),
        needs=("environment",),
        tags=MATCH,
    ),
    Word(
        name="spamtest",
        build=_spamtest,
        usage='spamtest :value "ge" :comparator "i;ascii-numeric" "5"',
        takes=(Kind.STRING,),
        needs=("spamtest", "spamtestplus"),
        tags=(*MATCH, TagWord(name="percent", needs="spamtestplus")),
    ),
    Word(
        name="virustest",
        build=_virustest,
        usage='virustest :value "ge" :comparator "i;ascii-numeric" "4"',
        takes=(Kind.STRING,),
        needs=("virustest",),
        tags=MATCH,
    ),
    Word(
        name="duplicate",
        build=_duplicate,
        usage='duplicate [:handle "…"] [:header "…" / :uniqueid "…"] [:seconds 60] [:last]',
        needs=("duplicate",),
        tags=(
            TagWord(name="handle", value=Kind.STRING),
            TagWord(name="header", value=Kind.STRING, group="unique id"),
            TagWord(name="uniqueid", value=Kind.STRING, group="unique id"),
            TagWord(name="seconds", value=Kind.NUMBER),
            TagWord(name="last"),
        ),
    ),
)
