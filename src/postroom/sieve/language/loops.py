"""foreverypart, break, extracttext.

Standards: RFC 5703 3, 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.sieve.language.mime import below, sections_of
from postroom.sieve.language.variables import MODIFIERS, assign, modifiers, variable_name
from postroom.sieve.run import PER_UNIT_SHIFT
from postroom.sieve.words import Call, Kind, Step, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run


class _Broken(Exception):
    """A loop ends. name: of the loop, "" for the innermost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _foreverypart(call: Call) -> Step:
    name = call.constant(call.tag_text("name"), "the name of a loop", call.place_of("name")) or ""
    call.scope.loops.append(name)
    steps = call.compiler.steps(call.block, call.scope)
    call.scope.loops.pop()

    def foreverypart(run: Run) -> None:
        around = run.part
        # the parts are those there were when the loop began
        parts = list(sections_of(run)) if around is None else below(run, around)[1:]
        try:
            for part in parts:
                run.spend(1)
                if part.gone:
                    continue
                run.part = part
                for step in steps:
                    step(run)
        except _Broken as broken:
            if broken.name and broken.name != name:
                raise
        finally:
            run.part = around

    return foreverypart


def _break(call: Call) -> Step:
    name = call.constant(call.tag_text("name"), "the name of a loop", call.place_of("name")) or ""
    if not call.scope.loops:
        call.fault("break outside of a loop", "it ends a foreverypart")
    elif name and name not in call.scope.loops:
        call.fault(f'there is no loop "{name[:40]}" around this', at=call.place_of("name"))

    def leave(run: Run) -> None:
        raise _Broken(name)

    return leave


def _extracttext(call: Call) -> Step:
    if not call.scope.loops:
        call.fault("extracttext outside of a loop", "it stands in a foreverypart")
    variable, first, changes = variable_name(call, 0), call.tag_number("first"), modifiers(call)

    def extracttext(run: Run) -> None:
        if run.part is None:
            return
        text = ""
        part = run.part.part
        if run.part.text is not None:
            text = run.part.text
        elif part.type == "text":
            run.spend(4 + (part.size >> PER_UNIT_SHIFT))
            text = run.mail.text_of(part, run.limits.text, plain=True)
        if first is not None:
            text = text[:first]
        text = text[: run.limits.value]
        for change in changes:
            text = change(text)
        assign(run, variable, text)

    return extracttext


COMMANDS: Final = (
    Word(
        name="foreverypart",
        build=_foreverypart,
        usage='foreverypart [:name "loop"] { … }',
        needs=("foreverypart",),
        tags=(TagWord(name="name", value=Kind.STRING),),
        block=True,
    ),
    Word(
        name="break",
        build=_break,
        usage='break [:name "loop"];',
        needs=("foreverypart",),
        tags=(TagWord(name="name", value=Kind.STRING),),
    ),
    Word(
        name="extracttext",
        build=_extracttext,
        usage='extracttext [:first 100] "variable";',
        takes=(Kind.STRING,),
        needs=("extracttext",),
        tags=(*MODIFIERS, TagWord(name="first", value=Kind.NUMBER)),
    ),
)
