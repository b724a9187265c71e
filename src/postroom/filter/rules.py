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
from functools import lru_cache
from importlib import resources
from typing import Final

import msgspec

from postroom.filter.borrowed import Brand
from postroom.filter.disguise import Undisguised
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


_ASCII: Final = re.compile(r"[a-z0-9]+")

_Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules ready to run, by the place they look at; brands: whose names others borrow; version: the highest of the
    files.
    """

    places: tuple[tuple[str, tuple[tuple[_Test, Rule], ...]], ...]
    brands: tuple[Brand, ...] = ()
    version: int = 0

    @property
    def rules(self) -> list[Rule]:
        """Every rule that is on."""
        return [rule for _, rows in self.places for _, rule in rows]

    def apply(self, seen: Seen) -> Iterator[Reason]:
        """What they find."""
        for place, rows in self.places:
            text = _text_at(seen, place)
            if not text:
                continue
            for test, rule in rows:
                if test(text):
                    yield Reason(rule.name, rule.points, rule.text)


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
    places: dict[str, list[tuple[_Test, Rule]]] = {}
    for rule in found.values():
        test = _test(rule)
        if rule.points:
            places.setdefault(rule.where, []).append((test, rule))
    return Rules(
        tuple((place, tuple(rows)) for place, rows in places.items()),
        tuple(one for one in brands.values() if one.domains),
        version,
    )


def cut_short(rules: Rules) -> Iterator[tuple[str, int]]:
    """Rules whose pattern sees so many characters of a text only, because it could take long on more."""
    for rule in rules.rules:
        if rule.pattern and (most := reach(rule.pattern, LONGEST)) < LONGEST:
            yield rule.name, most


def _test(rule: Rule) -> _Test:
    if rule.where not in _PLACES and not re.fullmatch(r"header:[!-9;-~]+", rule.where):
        raise BadRules(
            f"rule {rule.name}: there is no place {rule.where!r}; known are {', '.join(_PLACES)}, header:NAME"
        )
    if bool(rule.words) == bool(rule.pattern):
        raise BadRules(f"rule {rule.name}: it needs either words or a pattern")
    if not 1 <= rule.least <= max(len(rule.words), 1):
        raise BadRules(f"rule {rule.name}: least is from 1 to the number of its words")
    if rule.words:
        return _finds(tuple(fold(word) for word in rule.words), rule.least)
    try:
        most = reach(rule.pattern, LONGEST)
    except BadPattern as fault:
        raise BadRules(f"rule {rule.name}: {rule.pattern!r}: {fault}") from None
    search = re.compile(rule.pattern).search
    return lambda text: search(text, 0, most) is not None


def _finds(words: tuple[str, ...], least: int) -> _Test:
    """Do so many different ones of these stand in a text, as whole words?"""
    rows = [(frozenset(_ASCII.findall(word)), word, _whole(word)) for word in words]

    def test(text: str) -> bool:
        missing, there = least, _vocabulary(text)
        for needed, word, whole in rows:
            if needed <= there and word in text and whole(text):
                missing -= 1
                if not missing:
                    return True
        return False

    return test


def _whole(word: str) -> Callable[[str], object]:
    return re.compile(f"{_edge(word[:1], '<!')}{re.escape(word)}{_edge(word[-1:], '!')}").search


@lru_cache(maxsize=4)
def _vocabulary(text: str) -> frozenset[str]:
    """All runs of ASCII letters and digits; every rule of words asks for those of the same text."""
    return frozenset(_ASCII.findall(text))


def _edge(letter: str, look: str) -> str:
    """No word goes on there; scripts without spaces have no such edges."""
    return f"(?{look}[a-z0-9])" if letter.isascii() and letter.isalnum() else ""


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
