"""Mailbox names: what one may be, what it is compared as, and the hierarchy they form.

"/" stands between levels. INBOX is case-insensitive, also as the first level of a longer name; all else is kept as
written after NFC normalisation (RFC 9051 5.1, Net-Unicode RFC 5198). Names from clients are hostile until `check`ed.
On failure: BadName with a text for the user.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.mailbox.errors import BadName
from postroom.store.api import MailboxInfo

DELIMITER: Final = "/"
INBOX: Final = "INBOX"
#: octets of UTF-8 in a whole name and in one level; levels of a name
MAX_NAME, MAX_LEVEL, MAX_DEPTH = 1000, 250, 50

# RFC 6855 3 and RFC 5198 2: C0, DEL, C1, line and paragraph separators; and what is no character: surrogates,
# non-characters, the byte order mark
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufeff"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
# invisible, and turn around what stands beside them: names that look like others (UTS 39 calls them restricted)
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


def normalize(name: str) -> str:
    """The name as mailboxes are looked up by: NFC, INBOX in upper case, no trailing delimiter. Accepts anything."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    name = name.removesuffix(DELIMITER)
    if name[:5].upper() == INBOX and name[5:6] in ("", DELIMITER):
        return INBOX + name[5:]
    return name


def check(name: str) -> str:
    """The normalised name, if a mailbox may be called so. Raises BadName."""
    name = normalize(name)
    if not name:
        raise BadName("A mailbox needs a name")
    if _FORBIDDEN.search(name):
        raise BadName("Mailbox names cannot contain control characters")
    if _DIRECTION.search(name):
        raise BadName("Mailbox names cannot contain characters that change the direction of text")
    levels = name.split(DELIMITER)
    if "" in levels:
        raise BadName('Mailbox names cannot contain an empty level: "//" or a leading "/"')
    if len(levels) > MAX_DEPTH:
        raise BadName(f"Mailbox names have at most {MAX_DEPTH} levels")
    if len(name.encode()) > MAX_NAME or any(len(level.encode()) > MAX_LEVEL for level in levels):
        raise BadName(f"Mailbox names have at most {MAX_NAME} octets, {MAX_LEVEL} in one level")
    return name


def parents(name: str) -> list[str]:
    """The names above, outermost first: "a/b/c" has "a" and "a/b"."""
    return [name[:end] for end, character in enumerate(name) if character == DELIMITER]


def below(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that lie below `name`."""
    prefix = name + DELIMITER
    return [other for other in names if other.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class Listed:
    """A name as LIST shows it. info None: a level that exists only because mailboxes lie below it (\\NonExistent).

    info has the name within its account; foreign: it is not the login's own.
    root: a level of a namespace, where no mailbox can be made (\\Noselect).
    """

    name: str
    info: MailboxInfo | None
    has_children: bool
    foreign: bool = False
    root: bool = False


def hierarchy(mailboxes: Sequence[MailboxInfo]) -> list[Listed]:
    """All names with the missing levels between them, INBOX and what is below it first, then by name."""
    known: dict[str, MailboxInfo | None] = {box.name: box for box in mailboxes}
    with_children = set()
    for box in mailboxes:
        for parent in parents(box.name):
            known.setdefault(parent, None)
            with_children.add(parent)
    order = sorted(known, key=place)
    return [Listed(name, known[name], name in with_children) for name in order]


def place(name: str) -> tuple[bool, list[str]]:
    """Where a name stands in a list: INBOX and what is below it first, a mailbox before what is below it."""
    levels = name.split(DELIMITER)
    return levels[0] != INBOX, levels


class Matcher:
    """Whether a name matches any pattern of LIST: "*" is anything, "%" anything but the delimiter (RFC 9051 6.3.9).

    The pattern is the reference with the pattern behind it; its first level matches INBOX whatever its case.
    """

    __slots__ = ("_tests",)

    def __init__(self, reference: str, patterns: Sequence[str]) -> None:
        self._tests = [_pattern(reference + pattern) for pattern in patterns]

    def __call__(self, name: str) -> bool:
        """The name matches."""
        return any(whole(name) for whole, _ in self._tests)

    def below(self, prefix: str) -> bool:
        """Some name that begins with `prefix` could match: what lies there has to be looked at."""
        return any(begin(prefix) for _, begin in self._tests)


_Test = Callable[[str], bool]
_WILD = re.compile(r"[*%]+")


def _pattern(pattern: str) -> tuple[_Test, _Test]:
    """Tests of a whole name, and of how one begins."""
    pattern = unicodedata.normalize("NFC", pattern)
    level, slash, rest = pattern.partition(DELIMITER)
    if level.upper() == INBOX:
        pattern = INBOX + slash + rest
    pattern = _WILD.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
    if pattern == "*":
        return (lambda _: True), (lambda _: True)
    if pattern == "%":
        return (lambda name: DELIMITER not in name), (lambda name: DELIMITER not in name)
    if "*" not in pattern and "%" not in pattern:
        return pattern.__eq__, pattern.startswith
    return _automaton(pattern)


def _automaton(pattern: str) -> tuple[_Test, _Test]:
    """Bit i of a state: the first i characters of the pattern have matched. No backtracking, whatever the pattern."""
    literals: dict[str, int] = {}
    stars = percents = 0
    for number, character in enumerate(pattern):
        if character == "*":
            stars |= 1 << number
        elif character == "%":
            percents |= 1 << number
        else:
            literals[character] = literals.get(character, 0) | 1 << number
    wild, accepted = stars | percents, 1 << len(pattern)

    def run(name: str) -> int:
        state = 1 | (1 & wild) << 1
        for character in name:
            stay = stars if character == DELIMITER else wild
            state = (state & literals.get(character, 0)) << 1 | state & stay
            state |= (state & wild) << 1
        return state

    return (lambda name: bool(run(name) & accepted)), (lambda prefix: run(prefix) != 0)
