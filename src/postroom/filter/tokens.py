"""The words a message is weighed by, as 32-bit numbers.

Words of the text (case folded, compatibility forms made equal), pairs of neighbours, and marks of where a word stood:
subject, author, link, attachment, a trait of the header. Scripts without spaces between words are cut into bigrams.
The numbers are CRC-32 of the marked word: the same in every process and version; two words that share one are rare
enough (one in thousands of a mailbox's words) not to matter.
Pure; bounded by MOST. On failure: never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
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
_DENSE: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff]")
_TRAITS: Final = ("x-mailer", "user-agent", "content-type", "list-id", "precedence", "mime-version", "importance")


def read(content: Content) -> tuple[Seen, list[int]]:
    """A message and its tokens. Raises OSError when the content's file is gone."""
    seen = see(content)
    return seen, tokens(seen)


def tokens(seen: Seen) -> list[int]:
    """The tokens of a message, each once, in no order that means anything."""
    subject = _words(seen.subject_plain.text)
    marked = [*(f"s:{word}" for word in subject), *(f"s:{pair}" for pair in _pairs(subject))]
    marked += _of_authors(seen)
    for link in seen.links[:50]:
        marked += _of_host(link.host)
    for attachment in seen.attachments[:20]:
        marked += (f"a:{attachment.extension}", f"t:{attachment.type}")
    for name in _TRAITS:
        marked += [f"h:{name}:{_plain(value)}" for value in seen.values(name)[:1]]
    marked += _of_shape(seen)
    marked += [f"x:{word}" for found in (seen.subject_plain, seen.plain) for word in found.hidden]
    words = _words(seen.plain.text)
    marked += words[:_WORDS]
    marked += _pairs(words[:_WORDS])
    return _numbers(dict.fromkeys(marked))


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


def _numbers(marked: Iterable[str]) -> list[int]:
    return [crc32(word) for word in "\n".join(list(marked)[:MOST]).encode("utf-8", "replace").split(b"\n")]


def _words(folded: str) -> list[str]:
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


def _pairs(words: list[str]) -> list[str]:
    return [f"{one} {other}" for one, other in pairwise(words)]


def _of_authors(seen: Seen) -> list[str]:
    found: list[str] = []
    for author in seen.authors[:2]:
        found += (f"f:{author.address.lower()}", f"d:{author.domain.lower()}")
        found += [f"n:{word}" for word in _words(fold(author.name[:200]))]
    return found


def _of_host(host: str) -> list[str]:
    """The host, and the domains above it."""
    labels = host.split(".")[-4:]
    return [f"u:{'.'.join(labels[at:])}" for at in range(len(labels))]
