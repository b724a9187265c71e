"""Names that look alike: one key for all spellings that a reader may take for the same.

Used to find domains and people's names that somebody imitates. Keys are compared with keys only, never shown.
Standards: Unicode NFKC and canonical decomposition; which letters look alike follows the idea of Unicode TS 39 4, cut
down to the scripts that imitate Latin in practice.
On failure: never, for any text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_LOOKS: Final = {
    # Cyrillic
    "а": "a", "в": "b", "е": "e", "ё": "e", "ѕ": "s", "і": "i", "ї": "i", "ј": "j", "к": "k", "м": "m", "н": "h",
    "о": "o", "р": "p", "с": "c", "т": "t", "у": "y", "х": "x", "ԁ": "d", "ԛ": "q", "ԝ": "w", "һ": "h", "ӏ": "l",
    "ь": "b", "п": "n", "г": "r", "ґ": "r", "є": "e", "ү": "y", "ѵ": "v", "ш": "w", "ɡ": "g",
    # Greek
    "α": "a", "β": "b", "γ": "y", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "σ": "o",
    "ς": "c", "τ": "t", "υ": "u", "χ": "x", "ω": "w", "ϲ": "c", "ϳ": "j",
    # Armenian, Latin extensions, Cherokee in lower case
    "ա": "w", "ո": "n", "ս": "u", "օ": "o", "ց": "g", "հ": "h", "ı": "i", "ȷ": "j", "ɑ": "a", "ɩ": "i", "ʟ": "l",
    "ɴ": "n", "ʀ": "r", "ᴏ": "o", "ᴄ": "c", "ᴠ": "v", "ᴡ": "w", "ᴢ": "z", "ø": "o", "ł": "l", "đ": "d", "ħ": "h",
    "ŧ": "t", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "p",
    # digits and signs
    "0": "o", "1": "l", "3": "e", "5": "s", "|": "l", "$": "s",
}  # fmt: skip
#: one for several, after the letters; a lower-case l and an i are the same stroke
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("i", "l"))
#: scripts whose letters stand in for Latin ones
_IMITATING: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
#: signs of phonetics that look like letters
_PHONETIC: Final = frozenset("ȷɑɩɡʟɴʀᴏᴄᴠᴡᴢ")
#: top-level domains where these scripts are at home
_THEIR_OWN: Final = frozenset(
    ("am", "ba", "bg", "by", "cy", "eu", "gr", "kg", "kz", "me", "mk", "mn", "rs", "ru", "su", "tj", "ua")
)
_TABLE: Final = str.maketrans(_LOOKS)


def skeleton(text: str) -> str:
    """What a reader sees at a glance. The same for `paypal`, `раураl` and `PayPa1`."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter) and letter != "\u200b")
    plain = unicodedata.normalize("NFC", plain).translate(_TABLE)
    for pair, one in _PAIRS:
        plain = plain.replace(pair, one)
    return plain


def name_key(name: str) -> str:
    """A person's name: order of words, case, accents and look-alikes do not matter. "" for no name.

    A single word is no person: too many share it.
    """
    words = sorted(filter(None, (_letters(word) for word in name.replace(",", " ").replace("-", " ").split())))
    return " ".join(words) if len(words) > 1 else ""


def _letters(word: str) -> str:
    return "".join(letter for letter in skeleton(word) if letter.isalnum())


@lru_cache(maxsize=4096)
def shown_domain(domain: str) -> str:
    """A domain (A-labels) as mail programs show it; a label that is no valid A-label stays."""
    return ".".join(_shown_label(label) for label in domain.split("."))


def _shown_label(label: str) -> str:
    if label.startswith("xn--"):
        try:
            return label[4:].encode("ascii").decode("punycode")
        except (UnicodeError, ValueError):
            return label
    return label


@lru_cache(maxsize=4096)
def disguised(domain: str) -> str:
    """What a domain (A-labels) is made to look like by letters of another script; "" when it is not.

    As browsers see it: a label that mixes Latin with Cyrillic, Greek and the like, or one of such letters alone that
    all look Latin, below a top-level domain where nobody reads them. Accents are no disguise.
    """
    labels = shown_domain(domain).split(".")
    homely = labels[-1] in _THEIR_OWN or not labels[-1].isascii()
    if not any(_odd_label(label, homely) for label in labels):
        return ""
    return ".".join("".join(one if one.isascii() else _LOOKS.get(one, one) for one in label) for label in labels)


def _odd_label(label: str, homely: bool) -> bool:
    if label.isascii():
        return False
    scripts = {_script(letter) for letter in label if letter.isalpha()}
    foreign = scripts & _IMITATING
    if foreign and (len(scripts) > 1 or not homely):
        return len(scripts) > 1 or all(letter in _LOOKS for letter in label if letter.isalpha())
    return any(letter in _PHONETIC for letter in label)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def shortened(word: str) -> Iterator[str]:
    """The word and all words with one letter left out: two words one typing error apart share one of these."""
    yield word
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]
