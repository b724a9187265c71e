"""true, false, size, and what not, allof and anyof look like (the compiler builds those).

Standards: RFC 5228 5.2, 5.3, 5.6, 5.8, 5.9, 5.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.sieve.words import Call, Kind, Question, TagWord, Tests, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run


def _true(call: Call) -> Question:
    def true(run: Run) -> bool:
        return True

    return true


def _false(call: Call) -> Question:
    def false(run: Run) -> bool:
        return False

    return false


def _size(call: Call) -> Question:
    """RFC 5228 5.9: of the message in octets; neither over nor under is exactly as large."""
    limit = call.number(0)
    if call.has("over"):
        return lambda run: run.mail.size > limit
    if not call.has("under"):
        call.fault("size takes :over or :under", f"usage: {call.word.usage}")
    return lambda run: run.mail.size < limit


TESTS: Final = (
    Word(name="true", build=_true, usage="true"),
    Word(name="false", build=_false, usage="false"),
    Word(
        name="size",
        build=_size,
        usage="size :over 1M",
        takes=(Kind.NUMBER,),
        tags=(TagWord(name="over", group="size"), TagWord(name="under", group="size")),
    ),
    Word(name="not", build=_true, usage='not header "subject" "text"', tests=Tests.ONE),
    Word(name="allof", build=_true, usage="allof (test, test)", tests=Tests.MANY),
    Word(name="anyof", build=_true, usage="anyof (test, test)", tests=Tests.MANY),
)
