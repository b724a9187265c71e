"""Rules as people type and read them on the command line.

A condition is FIELD [not] OP VALUE: `from contains boss@`, `size over 5M`, `header:X-Spam not is yes`. What is done is
VERB [VALUE]: `file Lists/Python`, `flag \\Seen`, `forward ann@example.org`, `forward-only …`, `reject …`, `discard`.
On failure: click.BadParameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from postroom.cli.amounts import parse_size
from postroom.cli.output import line

if TYPE_CHECKING:
    from postroom.sieve.rules import Away, Condition, Do, Rule, Rules

_FORWARD_ONLY: Final = "forward-only"


def condition(text: str) -> Condition:
    """FIELD [not] OP VALUE."""
    from postroom.sieve.rules import Condition

    field, _, rest = text.strip().partition(" ")
    op, _, value = rest.strip().partition(" ")
    negated = op == "not"
    if negated:
        op, _, value = value.strip().partition(" ")
    value = value.strip()
    if not op or not value:
        raise click.BadParameter(f"{text!r} is no condition; write: FIELD [not] OP VALUE, as in: from contains boss@")
    return Condition(field=field, op=op, value=str(parse_size(value)) if field == "size" else value, negated=negated)


def deed(text: str) -> Do:
    """VERB [VALUE]."""
    from postroom.sieve.rules import Do

    what, _, value = text.strip().partition(" ")
    return Do(what="forward" if what == _FORWARD_ONLY else what, value=value.strip(), copy=what != _FORWARD_ONLY)


def printed(rules: Rules) -> Iterator[str]:
    """In the order it is done, a line each."""
    if rules.away is not None:
        yield from _away(rules.away)
    if rules.forward is not None:
        copy = "" if rules.forward.copy else ", keeping nothing"
        yield f"forward{_off(rules.forward.on)}: to {line(', '.join(rules.forward.to))}{copy}"
    for rule in rules.rules:
        yield from _rule(rule)


def _off(on: bool) -> str:
    return "" if on else " (off)"


def _one_line(text: str) -> str:
    return line(" ".join(text.split()))


def _away(away: Away) -> Iterator[str]:
    days = " ".join(
        word for word in (away.start and f"from {away.start}", away.until and f"until {away.until}") if word
    )
    yield f"away{_off(away.on)}: {days or 'from now on'}; the same sender is answered every {away.days} days"
    if away.subject:
        yield f"    subject: {line(away.subject)}"
    who = f"to {line(', '.join(away.domains))}" if away.outside else "text"
    yield f"    {who}: {_one_line(away.text)}"
    if away.outside:
        yield f"    to others: {_one_line(away.outside)}"


def _rule(rule: Rule) -> Iterator[str]:
    yield f"rule{_off(rule.on)}: {line(rule.name)}"
    word = " or " if rule.any else " and "
    told = word.join(f"{each.field} {'not ' if each.negated else ''}{each.op} {each.value}" for each in rule.when)
    yield f"    if {line(told) or 'any mail'}"
    deeds = [f"{_FORWARD_ONLY if not each.copy else each.what} {each.value}".strip() for each in rule.then]
    yield f"    then {line('; '.join(deeds))}{'' if rule.stop else '; go on'}"
