r"""Possessive quantifiers behind a group, such as (?:ab?c)*+, which CPython before 3.11.5 matches wrongly.

When a repetition fails in its middle, after something in it could have been repeated less, what it has taken stays
taken: (?:ab?c)*+ matches "a" (python/cpython#106052). Who writes such a pattern enters it here, with characters in
which its repetition can fail; it must then do on this interpreter what it does as an atomic group, which is right.
"""

from __future__ import annotations

import importlib
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "src"

#: where the construct stands -> how a text begins, and octets or characters that its pieces are made of
PATTERNS: dict[tuple[str, str], tuple[str, str]] = {
    ("index.query", "_TOKEN"): ("", 'a"\\ ('),
    ("intake.authors", "_LIKE_FROM"): ("\nfrom", "a: \n\r"),
    ("mailbox.printed", "_TOKEN"): ("", 'a"\\ (N'),
    ("message.addresses", "_TOKENS"): ("", 'a"\\<@ '),
    ("message.parameters", "_QUOTED"): ("", 'a"\\b'),
    ("message.parameters", "_QUOTED_OR_COMMENT"): ("", 'a"\\('),
    ("sieve.lexer", "_TOKEN"): ("", 'a"\\ \n'),
    ("sieve.mail", "_FIELD"): ("", "a\n \t"),
}
_LENGTH = 6
_CONSTRUCT = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+")


def _written(module: str) -> set[str]:
    """The names of a module's patterns that have the construct."""
    names = vars(importlib.import_module(f"postroom.{module}")).items()
    return {name for name, value in names if isinstance(value, re.Pattern) and _CONSTRUCT.search(_blanked(value))}


def _atomic(pattern: re.Pattern[Any]) -> re.Pattern[Any]:
    """The same with (?:...)*+ as (?>(?:...)*)."""
    source = pattern.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    while (found := _CONSTRUCT.search(plain := _blanked(text))) is not None:
        depth, begin = 1, found.start()
        while depth:
            begin -= 1
            depth += {")": 1, "(": -1}.get(plain[begin], 0)
        end = found.end() - 1
        text = f"{text[:begin]}(?>{text[begin:end]}){text[end + 1 :]}"
    return re.compile(text.encode("latin-1") if isinstance(source, bytes) else text, pattern.flags & ~re.UNICODE)


def _blanked(pattern: str | re.Pattern[Any]) -> str:
    """With x for what is escaped or in a class, at the same places."""
    source = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    escapes = re.sub(r"\\.", "xx", text, flags=re.DOTALL)
    return re.sub(r"\[\^?\]?[^\]]*\]", lambda found: "x" * len(found[0]), escapes)


def test_all_are_here() -> None:
    found = {
        (module, name)
        for path in SOURCE.rglob("*.py")
        if re.search(r"[)}]\+|[*+?]\+", path.read_text())
        for module in [".".join(path.relative_to(SOURCE / "postroom").with_suffix("").parts)]
        for name in _written(module)
    }
    assert found == set(PATTERNS)


@pytest.mark.parametrize("place", PATTERNS, ids=".".join)
def test_right_on_this_interpreter(place: tuple[str, str]) -> None:
    pattern = getattr(importlib.import_module(f"postroom.{place[0]}"), place[1])
    atomic, octets = _atomic(pattern), isinstance(pattern.pattern, bytes)
    assert atomic.pattern != pattern.pattern
    begin, letters = PATTERNS[place]
    for length in range(_LENGTH + 1):
        for each in itertools.product(letters, repeat=length):
            text: Any = begin + "".join(each)
            text = text.encode() if octets else text
            for how in ("match", "fullmatch", "search"):
                theirs, ours = getattr(pattern, how)(text), getattr(atomic, how)(text)
                assert (theirs and theirs.regs) == (ours and ours.regs), (how, text)


def test_the_fault_would_be_seen() -> None:
    """The two that were wrong, and have gone: lists of DKIM's h=, and folded fields."""
    for source, text in ((rb"a(?: *: *[a-z]+)*+", b"a:"), (rb"\n(?:[ \t][^\n]*+\n)*+", b"\n "), (rb"(?:ab?c)*+", b"a")):
        wrong = re.compile(source)
        assert _atomic(wrong).fullmatch(text) is None
