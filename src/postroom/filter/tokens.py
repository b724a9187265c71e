"""The words a message is weighed by, as 32-bit numbers.

Words of the text (case folded, compatibility forms made equal), pairs of neighbours, and marks of where a word stood:
subject, author, link, attachment, a trait of the header. Scripts without spaces between words are cut into bigrams.
The numbers are CRC-32 of the marked word: the same in every process and version; two words that share one are rare
enough (one in thousands of a mailbox's words) not to matter.
Pure; bounded by MOST. On failure: never.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final
from zlib import crc32

from postroom.filter.seen import Seen, see
from postroom.message.search import fold
from postroom.values.content import Content

#: different tokens of one message
MOST: Final = 2_000
#: words of the text that are looked at; with their pairs they fill what headers and links leave free
_WORDS: Final = 3_000
_WORD: Final = re.compile(r"[^\W_]{2,30}(?:['.-][^\W_]{1,15}){0,2}|[$€£!?]{1,4}")
#: the same in folded ASCII, where words mostly lie between what stands in none
_ASCII_WORD: Final = re.compile(rb"[a-z0-9]{2,30}(?:['.-][a-z0-9]{1,15}){0,2}|[$!?]{1,4}")
_SPACED: Final = bytes(code if chr(code) in "abcdefghijklmnopqrstuvwxyz0123456789'.-$!?" else 32 for code in range(256))
_ENOUGH: Final = 24_000  # characters in which mostly more than so many words stand
_LONG: Final = 31  # letters that make two words
_SUBJECT: Final = crc32(b"s:")
_DENSE: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff]")
_TRAITS: Final = ("x-mailer", "user-agent", "content-type", "list-id", "precedence", "mime-version", "importance")


def read(content: Content) -> tuple[Seen, list[int]]:
    """A message and its tokens. Raises OSError when the content's file is gone."""
    seen = see(content)
    return seen, tokens(seen)


def tokens(seen: Seen) -> list[int]:
    """The tokens of a message, each once, in no order that means anything."""
    marked = _of_authors(seen)
    for link in seen.links[:50]:
        marked += _of_host(link.host)
    for attachment in seen.attachments[:20]:
        marked += (f"a:{attachment.extension}", f"t:{attachment.type}")
    for name in _TRAITS:
        marked += [f"h:{name}:{_plain(value)}" for value in seen.values(name)[:1]]
    marked += _of_shape(seen)
    marked += [f"x:{word}" for found in (seen.subject_plain, seen.plain) for word in found.hidden]
    numbers = _with_pairs(_words(seen.subject_plain.text), _SUBJECT)
    numbers += [crc32(word) for word in "\n".join(marked).encode("utf-8", "replace").split(b"\n")]
    numbers += _with_pairs(_first_words(seen.plain.text))
    return list(islice(dict.fromkeys(numbers), MOST))


def _with_pairs(words: list[bytes], mark: int = 0) -> list[int]:
    """The numbers of words, and of each with the one behind it. mark: the number of what stands before each."""
    numbers = [crc32(word, mark) for word in words]
    return [*numbers, *map(crc32, [b" " + word for word in words[1:]], numbers)]


def _of_shape(seen: Seen) -> list[str]:
    """Marks of how the message is made."""
    found = [f"h:to:{min(seen.recipients, 3)}", f"m:{len(seen.text).bit_length()}"]
    found.append("m:html" if seen.html and not seen.written else "m:both" if seen.html else "m:text")
    if seen.links:
        found.append(f"m:links:{len(seen.links).bit_length()}")
    found += [f"h:reply:{value.rpartition('@')[2].strip(' >').lower()[:60]}" for value in seen.values("reply-to")[:1]]
    found += [f"h:zone:{value.rpartition(' ')[2][:8]}" for value in seen.values("date")[:1]]
    name = seen.message_id.rpartition("@")[2].strip("<> ").lower()
    found += [f"h:id:{name[:60]}"] if name else ["h:id:"]
    return found


def _plain(value: str) -> str:
    return " ".join(value.partition(";")[0].lower().split())[:60]


def _first_words(folded: str) -> list[bytes]:
    """As many as are looked at."""
    words = _words(folded[:_ENOUGH])
    if len(words) <= _WORDS and len(folded) > _ENOUGH:
        words = _words(folded)
    return words[:_WORDS]


def _words(folded: str) -> list[bytes]:
    if not folded.isascii():
        return [word.encode("utf-8", "replace") for word in _any_words(folded)]
    found: list[bytes] = []
    for piece in folded.encode("ascii").translate(_SPACED).split():
        if not piece.isalnum():
            piece = piece.strip(b"'.-")  # they join words, and stand in none
            if not piece.isalnum():
                found += _ASCII_WORD.findall(piece)
                continue
        size = len(piece)
        if 1 < size < _LONG:
            found.append(piece)
        elif size >= _LONG:
            found += _ASCII_WORD.findall(piece)
    return found


def _any_words(folded: str) -> list[str]:
    words = _WORD.findall(folded)
    if _DENSE.search(folded) is None:
        return words
    found: list[str] = []
    for word in words:
        if _DENSE.search(word):
            found += [word[at : at + 2] for at in range(max(len(word) - 1, 1))]
        else:
            found.append(word)
    return found


def _of_authors(seen: Seen) -> list[str]:
    found: list[str] = []
    for author in seen.authors[:2]:
        found += (f"f:{author.address.lower()}", f"d:{author.domain.lower()}")
        found += [f"n:{word}" for word in _any_words(fold(author.name[:200]))]
    return found


def _of_host(host: str) -> list[str]:
    """The host, and the domains above it."""
    labels = host.split(".")[-4:]
    return [f"u:{'.'.join(labels[at:])}" for at in range(len(labels))]
