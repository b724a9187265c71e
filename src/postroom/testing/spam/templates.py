"""Templates of made mail: choices and slots filled by seeded chance.

[a|b] is one of these (nested as one likes), brackets without a bar stay, {slot} is looked up.
Pure but for reading the files beside it. On failure: KeyError for a slot nobody knows.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import msgspec

TRAIN: Final = "train"
HELD: Final = "held"
_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")
_SLOT: Final = re.compile(r"\{(\w+)\}")


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See the head of ham.toml and spam.toml."""

    kind: str
    part: str
    sender: str = msgspec.field(name="from")
    subject: str
    text: str
    form: str = "text"
    language: str = "en"
    more: tuple[str, ...] = ()
    net: str = ""
    tricks: tuple[str, ...] = ()
    image: bool = False
    calendar: bool = False
    attachment: str = ""


@lru_cache(maxsize=8)
def _read(name: str) -> Any:
    return tomllib.loads(resources.files("postroom.testing.spam").joinpath(name).read_text(encoding="utf-8"))


@lru_cache(maxsize=2)
def templates(spam: bool) -> tuple[Template, ...]:
    """Of unwanted or of wanted mail, both parts."""
    rows = _read("spam.toml" if spam else "ham.toml")["mail"]
    return tuple(msgspec.convert(row, Template) for row in rows)


def sentences(part: str, language: str) -> list[str]:
    """Sentences of ordinary mail."""
    found: list[str] = _read("sentences.toml")[part][language]
    return found


def chosen(text: str, chance: random.Random) -> str:
    """The text with its choices made."""

    def pick(match: re.Match[str]) -> str:
        options = match[1].split("|")
        return chance.choice(options) if len(options) > 1 else f"\x01{match[1]}\x02"

    while _CHOICE.search(text):
        text = _CHOICE.sub(pick, text)
    return text.replace("\x01", "[").replace("\x02", "]")


def filled(text: str, slots: Mapping[str, str], fresh: Mapping[str, Callable[[], str]]) -> str:
    """The text with its slots filled. fresh: slots that are another each time."""
    return _SLOT.sub(lambda match: fresh[match[1]]() if match[1] in fresh else slots[match[1]], text)
