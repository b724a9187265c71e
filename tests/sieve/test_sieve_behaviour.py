"""The behaviour list: every script of tests/sieve/behaviour does what stands beside it."""

from __future__ import annotations

import pytest

from postroom.sieve.actions import FileInto, Keep, Redirect
from postroom.sieve.compiler import compile_script
from postroom.sieve.describe import describe
from postroom.sieve.faults import BadScript
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.parser import parse
from postroom.sieve.printer import dump

from .cases import FOLDER, Case, CaseLibrary, CaseWorld, environment, read_cases

CASES = [
    pytest.param(case, id=f"{path.stem}: {case.name}")
    for path in sorted(FOLDER.glob("*.txt"))
    for case in read_cases(path)
]


def outcome(case: Case) -> dict[str, str]:
    try:
        program = compile_script(case.script, CaseLibrary(case))
    except BadScript as bad:
        return {"faults": "".join(f"{fault}\n" for fault in bad.faults)}
    octets = case.octets()
    result = run_program(program, Mail.of(octets), environment(case), CaseWorld(case))
    if result.error:
        return {"error": f"line {result.line}: {result.error}\n"}
    found = {"actions": "".join(f"{describe(action)}\n" for action in result.actions)}
    if "stored" in case.expected:
        action = next(each for each in result.actions if isinstance(each, Keep | FileInto | Redirect))
        cut = Mail.of(octets).header().octets
        header = action.form.header if action.form.header is not None else cut
        body = action.form.body if action.form.body is not None else octets[len(cut) :]
        found["stored"] = (header + body).decode().replace("\r\n", "\n").rstrip("\n") + "\n"
    return found


@pytest.mark.parametrize("case", CASES)
def test_behaviour(case: Case) -> None:
    assert outcome(case) == case.expected


@pytest.mark.parametrize("case", CASES)
def test_printed_script_is_read_back(case: Case) -> None:
    tree, faults, _ = parse(case.script)
    if not faults:
        assert parse(dump(tree))[:2] == (tree, [])


def test_there_are_cases() -> None:
    assert len(CASES) > 50
