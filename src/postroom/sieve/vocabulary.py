"""All commands and tests there are.

Standards: RFC 5228 and the extensions of `extensions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from postroom.sieve.language import (
    bodies,
    dates,
    editing,
    filing,
    flags,
    headers,
    including,
    loops,
    mailboxes,
    notify,
    plain,
    refusing,
    rewriting,
    surroundings,
    vacation,
    variables,
)
from postroom.sieve.words import Word


def _by_name(*families: Iterable[Word]) -> dict[str, Word]:
    return {word.name: word for family in families for word in family}


COMMANDS: Final = _by_name(
    editing.COMMANDS,
    filing.COMMANDS,
    flags.COMMANDS,
    including.COMMANDS,
    loops.COMMANDS,
    notify.COMMANDS,
    refusing.COMMANDS,
    rewriting.COMMANDS,
    vacation.COMMANDS,
    variables.COMMANDS,
)
TESTS: Final = _by_name(
    bodies.TESTS,
    dates.TESTS,
    flags.TESTS,
    headers.TESTS,
    including.TESTS,
    mailboxes.TESTS,
    notify.TESTS,
    plain.TESTS,
    surroundings.TESTS,
    variables.TESTS,
)


def close_to(name: str, words: Iterable[str]) -> str:
    """Advice for a word that is not there."""
    found = get_close_matches(name[:40], [*words, "if", "elsif", "else", "require"], 1)
    return f"did you mean {found[0]}?" if found else ""
