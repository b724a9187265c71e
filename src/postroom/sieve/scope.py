"""What holds in one script while it is compiled: extensions, names, faults.

Standards: RFC 5228 3.2 (require), RFC 5229 3, RFC 5463 4, RFC 6609 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from postroom.sieve.extensions import EXTENSIONS, IMPLIED
from postroom.sieve.faults import MOST_FAULTS, Fault, Lines
from postroom.sieve.run import Limits
from postroom.sieve.texts import BadText, Text, decode_characters, template


@dataclass(slots=True, kw_only=True)
class Scope:
    """One script. declared: by require, or by a test of ihave above; required: by require alone; asked: those with a
    test that stands there; loops: names of foreverypart around, "" for none.

    dead: what is compiled can never run, because ihave says so; its faults are nobody's business.
    """

    lines: Lines
    limits: Limits
    declared: set[str] = field(default_factory=set)
    required: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    loops: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    depth: int = 0
    dead: int = 0

    def fault(self, at: int, text: str, advice: str = "") -> None:
        """Something is wrong here."""
        if not self.dead and len(self.faults) < MOST_FAULTS:
            self.faults.append(self.lines.fault(at, text, advice))

    def allows(self, extension: str) -> bool:
        """May the extension be used here."""
        return extension in self.declared

    def require(self, name: str, at: int) -> None:
        """RFC 5228 3.2: the script says that it uses an extension."""
        if name in EXTENSIONS:
            self.enable(name)
            self.required.add(name)
            return
        advice = "extensions are written in lower case" if name.lower() in EXTENSIONS else ""
        self.fault(at, f'the extension "{name[:60]}" is not known here', advice)

    def enable(self, name: str) -> None:
        """From here on the extension may be used."""
        self.declared.add(name)
        if name in IMPLIED:
            self.declared.add(IMPLIED[name])

    def text(self, item: str, at: int) -> Text:
        """A string with its encoded characters and variables, as far as the script uses them."""
        if "${" not in item:
            return item
        try:
            if "encoded-character" in self.declared:
                item = decode_characters(item)
            if "variables" in self.declared:
                spaces = frozenset(("global",)) if "include" in self.declared else frozenset[str]()
                return template(item, spaces, self.shared)
        except BadText as fault:
            self.fault(at, str(fault))
        return item

    @contextmanager
    def unreachable(self, never: bool) -> Iterator[None]:
        """What is compiled inside never runs, when `never` is so."""
        before = set(self.declared)
        self.dead += never
        try:
            yield
        finally:
            self.dead -= never
            if never:
                self.declared = before
