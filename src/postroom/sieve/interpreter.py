"""Runs a program on a message.

Standards: RFC 5228 2.10 (implicit keep, errors).
On failure: never raises. A script that cannot go on keeps the message and nothing else is done (RFC 5228 2.10.6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from postroom.sieve.actions import Keep, Result
from postroom.sieve.faults import OutOfBudget, ScriptError
from postroom.sieve.language.filing import Stopped
from postroom.sieve.language.including import Returned
from postroom.sieve.mail import Mail
from postroom.sieve.run import DEFAULT, Limits, Run
from postroom.sieve.world import EmptyWorld, Environment, World

if TYPE_CHECKING:
    from postroom.sieve.compiler import Program


def run_program(
    program: Program,
    mail: Mail,
    environment: Environment | None = None,
    world: World | None = None,
    limits: Limits = DEFAULT,
    clock: Callable[[], float] | None = None,
) -> Result:
    """What the program wants done with a message. clock: seconds of any origin, looked at now and then."""
    run = Run(mail, environment or Environment(), world or EmptyWorld(), limits, clock)
    try:
        try:
            run.suits(program.requires)
            for step in program.steps:
                step(run)
        except (Stopped, Returned):
            pass
        return Result(actions=run.outcome(), spent=limits.steps - run.fuel)
    except OutOfBudget as fault:
        return _kept(run, fault.text, out_of_budget=True)
    except ScriptError as fault:
        return _kept(run, fault.text)


def _kept(run: Run, error: str, out_of_budget: bool = False) -> Result:
    return Result(
        actions=(Keep(implicit=True),),
        error=error,
        line=run.line,
        spent=run.limits.steps - run.fuel,
        out_of_budget=out_of_budget,
    )
