"""include, return, global; ihave, error.

Standards: RFC 6609 3, RFC 5463 4, 5.
On failure: ScriptError for a script that is missing or includes itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.sieve.extensions import EXTENSIONS, NOT_BY_TEST
from postroom.sieve.faults import BadScript, ScriptError
from postroom.sieve.texts import LONGEST_NAME, NAME, get
from postroom.sieve.words import ALWAYS, NEVER, Call, Kind, Question, Step, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run
    from postroom.sieve.words import Included

#: RFC 5804 1.6: octets of a script's name
LONGEST_SCRIPT_NAME: Final = 512


class Returned(Exception):
    """RFC 6609 3.3: the included script ends."""


def bad_script_name(name: str) -> str:
    """Why this cannot be the name of a script (RFC 5804 1.6); "" when it can."""
    if not name:
        return "the name of a script is empty"
    if len(name.encode("utf-8", "replace")) > LONGEST_SCRIPT_NAME:
        return f"the name of a script has more than {LONGEST_SCRIPT_NAME} octets"
    if any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F or c in "\u2028\u2029" for c in name):
        return "the name of a script has control characters"
    return ""


def _include(call: Call) -> Step:
    name = call.constant(call.text(0), "the name of a script", call.place(0)) or ""
    why = bad_script_name(name)
    if why:
        call.fault(why, at=call.place(0))
    key = name, not call.has("global")
    once, optional, compiler = call.has("once"), call.has("optional"), call.compiler
    try:
        if not why:
            compiler.include(*key)
    except BadScript as bad:
        call.fault(f'the included script "{name}" has faults; the first: {bad.faults[0]}', at=call.place(0))

    def include(run: Run) -> None:
        if once and (key in run.included or key in run.stack):
            return
        program = compiler.program(*key)
        if program is None:
            if optional:
                return
            raise ScriptError(f'there is no script "{name}" to include')
        if key in run.stack:
            raise ScriptError(f'the script "{name}" includes itself')
        if len(run.stack) >= run.limits.depth:
            raise ScriptError("scripts include each other too deeply")
        run.suits(program.requires)
        run.included.add(key)
        _run_included(run, program, key)

    return include


def _run_included(run: Run, program: Included, key: tuple[str, bool]) -> None:
    """RFC 6609 3.4: with variables of its own; 3.5: a part that is looked at is its whole message."""
    kept = run.variables, run.matches, run.header, run.part
    run.variables, run.matches = {}, ()
    part_header = None
    if run.part is not None and run.part.part.index:
        run.header, run.part = run.part.header, None
        part_header = run.header
    run.stack.append(key)
    try:
        for step in program.steps:
            step(run)
    except Returned:
        pass
    finally:
        run.stack.pop()
        run.variables, run.matches = kept[0], kept[1]
        if part_header is not None:
            run.header = kept[2]
        run.part = kept[3]


def _return(call: Call) -> Step:
    def leave(run: Run) -> None:
        raise Returned

    return leave


def _global(call: Call) -> Step:
    """RFC 6609 3.4.1: these names are shared from here on, in this script."""
    if not call.scope.allows("variables"):
        call.fault("variables are not required", 'add "variables" to require')
    for number, text in enumerate(call.texts(0)):
        at = call.place(0, number)
        name = (call.constant(text, "the name of a variable", at) or "").lower()
        if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            call.fault(f'"{name[:60]}" cannot be the name of a variable', "letters, digits and _, no digit first", at)
        if name in call.scope.assigned:
            call.fault(f'the variable "{name}" was set before it became global', "move global up", at)
        call.scope.shared.add(name)

    def declared(run: Run) -> None:
        return

    return declared


def _ihave(call: Call) -> Question:
    """RFC 5463 4: answered while the script is compiled; what is there may be used from here on."""
    names = [call.constant(text, "the name of an extension", call.place(0)) or "" for text in call.texts(0)]
    for name in names:
        if name not in EXTENSIONS or (name in NOT_BY_TEST and not call.scope.allows(name)):
            return NEVER
    for name in names:
        call.scope.enable(name)
    return ALWAYS


def _error(call: Call) -> Step:
    message = call.text(0)

    def error(run: Run) -> None:
        raise ScriptError(get(message, run)[:1000])

    return error


COMMANDS: Final = (
    Word(
        name="include",
        build=_include,
        usage='include [:personal / :global] [:once] [:optional] "script";',
        takes=(Kind.STRING,),
        needs=("include",),
        tags=(
            TagWord(name="personal", group="location"),
            TagWord(name="global", group="location"),
            TagWord(name="once"),
            TagWord(name="optional"),
        ),
    ),
    Word(name="return", build=_return, usage="return;", needs=("include",)),
    Word(name="global", build=_global, usage='global ["name"];', takes=(Kind.STRINGS,), needs=("include",)),
    Word(name="error", build=_error, usage='error "message";', takes=(Kind.STRING,), needs=("ihave",)),
)
TESTS: Final = (Word(name="ihave", build=_ihave, usage='ihave ["vacation"]', takes=(Kind.STRINGS,), needs=("ihave",)),)
