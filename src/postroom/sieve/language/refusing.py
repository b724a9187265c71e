"""reject, ereject.

Standards: RFC 5429 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.sieve.actions import Reject
from postroom.sieve.texts import get
from postroom.sieve.words import Call, Kind, Step, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

#: characters of a reason
_LONGEST: Final = 4096


def _reject(call: Call) -> Step:
    reason, extended = call.text(0), call.word.name == "ereject"

    def reject(run: Run) -> None:
        run.suits((call.word.name,))
        run.kept = False
        run.act(Reject(reason=get(reason, run)[:_LONGEST], extended=extended))

    return reject


COMMANDS: Final = tuple(
    Word(name=name, build=_reject, usage=f'{name} "reason";', takes=(Kind.STRING,), needs=(name,))
    for name in ("reject", "ereject")
)
