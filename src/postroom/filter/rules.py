"""Rules with scores, from a file that can be read and changed.

One TOML table [[rule]] each: name, where it looks (subject, from, reply-to, text, html, link, attachment, or
header:NAME), what it looks for (`words`: whole words or phrases, folded, `least` different ones of them; or `pattern`:
a regular expression), its points and what people are told. A rule of the administrator's file replaces ours of the same
name; points = 0 switches it off.
One table [[brand]] each: the name of an organisation that is often imitated, and the domains that are its own; a brand
without domains is no brand any more.
A file may say its `version`, a number that grows.
Bounded: at most LONGEST characters are looked at, by a pattern so many that it cannot take long (filter.patterns).
Pure. On failure: BadRules, naming the rule.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, NamedTuple

import msgspec

from postroom.filter.borrowed import Brand
from postroom.filter.disguise import Undisguised
from postroom.filter.literals import literals, lowered, of_lowered
from postroom.filter.patterns import BadPattern, reach
from postroom.filter.scoring import Reason
from postroom.filter.seen import Seen
from postroom.message.search import fold

LONGEST: Final = 40_000
_PLACES: Final = ("subject", "from", "reply-to", "text", "html", "link", "attachment")


class BadRules(ValueError):
    """The file cannot be used; says why."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of the file."""

    name: str
    where: str = "text"
    words: tuple[str, ...] = ()
    least: int = 1
    pattern: str = ""
    points: float = 1.0
    text: str


class _Brand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A brand of the file: its name as people write it, and all domains it uses."""

    name: str
    domains: tuple[str, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int = 0
    rule: list[Rule] = []
    brand: list[_Brand] = []


#: told of a text and of the same in lower case
_Test = Callable[[str, str], bool]

#: what a word is told by: all but these octets stands between words
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz0123456789"
_BETWEEN: Final = bytes(code if code in _LETTERS else 32 for code in range(256))


class _Phrase(NamedTuple):
    """One of a rule's words. row: the rule's number; needed: what it is made of; before, behind: no word goes on."""

    row: int
    text: str
    needed: frozenset[bytes]
    before: bool
    behind: bool


class Place:
    """The rules that look at one place, in their order."""

    __slots__ = ("_by_word", "_everywhere", "_expressions", "rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Raises BadRules."""
        self.rules = tuple(rules)
        self._expressions = tuple((row, _expression(rule)) for row, rule in enumerate(rules) if rule.pattern)
        #: phrases by the longest of their words: few of a text's words are among these
        self._by_word: dict[bytes, list[_Phrase]] = {}
        self._everywhere: list[_Phrase] = []  # they have no word of ASCII
        for row, rule in enumerate(rules):
            for phrase in dict.fromkeys(fold(word) for word in rule.words):
                needed = frozenset(_runs(phrase))
                one = _Phrase(row, phrase, needed, _edge(phrase[:1]), _edge(phrase[-1:]))
                if needed:
                    self._by_word.setdefault(max(needed, key=lambda each: (len(each), each)), []).append(one)
                elif phrase:
                    self._everywhere.append(one)

    def find(self, text: str) -> list[Rule]:
        """Those that find what they look for."""
        found = set(self._matching(text))
        missing: dict[int, int] = {}
        for phrase in self._phrases(text):
            row = phrase.row
            left = missing.get(row, self.rules[row].least)
            if left and _stands(phrase, text):
                missing[row] = left - 1
        found.update(row for row, left in missing.items() if not left)
        return [self.rules[row] for row in sorted(found)]

    def _phrases(self, text: str) -> Iterator[_Phrase]:
        """Those that may stand in it."""
        if self._by_word:
            there = frozenset(_runs(text))
            for word in self._by_word.keys() & there:
                for phrase in self._by_word[word]:
                    if phrase.needed <= there:
                        yield phrase
        yield from self._everywhere

    def _matching(self, text: str) -> Iterator[int]:
        """The rows whose expressions match something in it."""
        if self._expressions:
            low = lowered(text)
            for row, (matches, needed) in self._expressions:
                if all(any(word in low for word in ways) for ways in needed) and matches(text, low):
                    yield row


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules ready to run, by the place they look at; brands: whose names others borrow; version: the highest of the
    files.
    """

    places: tuple[tuple[str, Place], ...]
    brands: tuple[Brand, ...] = ()
    version: int = 0

    @property
    def rules(self) -> list[Rule]:
        """Every rule that is on."""
        return [rule for _, place in self.places for rule in place.rules]

    def apply(self, seen: Seen) -> Iterator[Reason]:
        """What they find."""
        for name, place in self.places:
            text = _text_at(seen, name)
            if text:
                yield from [Reason(rule.name, rule.points, rule.text) for rule in place.find(text)]


def built_in() -> str:
    """The text of our own rules."""
    return resources.files("postroom.filter").joinpath("rules.toml").read_text(encoding="utf-8")


def load(texts: Sequence[str]) -> Rules:
    """From TOML texts, later ones over earlier ones. Raises BadRules."""
    found: dict[str, Rule] = {}
    brands: dict[str, Brand] = {}
    version = 0
    for text in texts:
        try:
            file = msgspec.convert(tomllib.loads(text), _File)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
            raise BadRules(f"the rules cannot be read: {fault}") from None
        version = max(version, file.version)
        for rule in file.rule:
            found[rule.name] = rule
        for brand in file.brand:
            brands[brand.name.casefold()] = Brand(brand.name, tuple([domain.lower() for domain in brand.domains]))
    places: dict[str, list[Rule]] = {}
    for rule in found.values():
        _check(rule)
        if rule.points:
            places.setdefault(rule.where, []).append(rule)
    return Rules(
        tuple((name, Place(rows)) for name, rows in places.items()),
        tuple(one for one in brands.values() if one.domains),
        version,
    )


def cut_short(rules: Rules) -> Iterator[tuple[str, int]]:
    """Rules whose pattern sees so many characters of a text only, because it could take long on more."""
    for rule in rules.rules:
        if rule.pattern and (most := reach(rule.pattern, LONGEST)) < LONGEST:
            yield rule.name, most


def _check(rule: Rule) -> None:
    """Raises BadRules."""
    if rule.where not in _PLACES and not re.fullmatch(r"header:[!-9;-~]+", rule.where):
        raise BadRules(
            f"rule {rule.name}: there is no place {rule.where!r}; known are {', '.join(_PLACES)}, header:NAME"
        )
    if bool(rule.words) == bool(rule.pattern):
        raise BadRules(f"rule {rule.name}: it needs either words or a pattern")
    if not 1 <= rule.least <= max(len(rule.words), 1):
        raise BadRules(f"rule {rule.name}: least is from 1 to the number of its words")
    if rule.pattern:
        _expression(rule)


def _expression(rule: Rule) -> tuple[_Test, tuple[tuple[str, ...], ...]]:
    """Its test, and what must stand in a text to be worth it (filter.literals). Raises BadRules."""
    try:
        most = reach(rule.pattern, LONGEST)
    except BadPattern as fault:
        raise BadRules(f"rule {rule.name}: {rule.pattern!r}: {fault}") from None
    lower = of_lowered(rule.pattern)
    search = re.compile(lower or rule.pattern).search
    if lower:
        return lambda text, low: search(low, 0, most) is not None, literals(rule.pattern)
    return lambda text, low: search(text, 0, most) is not None, literals(rule.pattern)


def _runs(text: str) -> list[bytes]:
    """All runs of ASCII letters and digits."""
    return text.encode("ascii", "replace").translate(_BETWEEN).split()


def _edge(letter: str) -> bool:
    """No word goes on there; scripts without spaces have no such edges."""
    return letter.isascii() and letter.isalnum()


def _stands(phrase: _Phrase, text: str) -> bool:
    """As whole words."""
    word, at = phrase.text, text.find(phrase.text)
    while at >= 0:
        end = at + len(word)
        if not (phrase.before and _edge(text[at - 1 : at])) and not (phrase.behind and _edge(text[end : end + 1])):
            return True
        at = text.find(word, at + 1)
    return False


def _text_at(seen: Seen, place: str) -> str:
    if place == "subject":
        return _with_hidden(seen.subject_plain)
    if place == "text":
        return _with_hidden(seen.plain)
    if place == "html":
        return seen.html[:LONGEST]
    if place == "link":
        return "\n".join(link.target for link in seen.links)[:LONGEST]
    if place == "attachment":
        return "\n".join(one.name for one in seen.attachments).lower()[:LONGEST]
    name = place.removeprefix("header:").lower()
    return "\n".join(seen.values(name))[:LONGEST]


def _with_hidden(found: Undisguised) -> str:
    """What is read, and below it the words that were disguised."""
    return f"{found.text}\n{' '.join(found.hidden)}" if found.hidden else found.text
