"""Links of a message: where they lead, and what is shown for them.

From HTML the targets of <a>, <area> and <form>, from text what mail programs make a link of. Targets are read as a
browser reads them: character references undone, tabs and line ends left out.
Work grows with the length of the input, whatever it is: each tag is looked at once and up to LONGEST_TAG characters.
Pure; trusts nothing. On failure: never.
Standards: HTML Living Standard 13.2.5 (tags and attributes, roughly), WHATWG URL 4.4 (which host a URL means).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Final

from postroom.values.address import BadAddress, parse_domain

LONGEST_TAG: Final = 2_048
#: characters of the text that is shown for a link
SHOWN: Final = 300
_BETWEEN: Final = 500
_LONGEST: Final = 2_000

_BEGIN: Final = re.compile(r"<(?:a|area|form)(?=[\s/])", re.IGNORECASE)
_REST: Final = re.compile(r"""(?>(?:[^"'>]++|"[^"]*+"|'[^']*+')*)>""")
_TARGET: Final = re.compile(
    r"""(?:^|[\s"'/])(?:href|action)\s{0,20}=\s{0,20}(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE
)
#: begins with a set of letters, which is looked for far faster than an edge of a word
_PLAIN: Final = re.compile(
    r"[hHwW](?<!\w[hHwW])(?:(?<=[hH])[tT][tT][pP][sS]?://[^\s<>\"'\])]{1,2000}|(?<=[wW])[wW][wW]\.[^\s<>\"'\])]{1,500})"
)
_TAGS: Final = re.compile(r"<[^<>]{0,500}>?")
_LEFT_OUT: Final = {ord(each): None for each in "\t\r\n"}
#: what stands for a dot in a host
_DOTS: Final = str.maketrans("。．｡", "...")


@dataclass(frozen=True, slots=True)
class Link:
    """A link: the host it leads to, the whole target, and the text that is shown for it."""

    target: str
    host: str
    shown: str


def links(text: str, html: str, shown: str, most: int) -> Iterator[Link]:
    """text: of the plain parts; shown: the text of the HTML.

    Links of HTML come first; then each plain target once, and none that is only what a link of HTML shows.
    """
    count = 0
    told: set[str] = set()
    for link in _of_html(html):
        yield link
        told |= {link.target, link.shown}
        count += 1
        if count >= most:
            return
    for match in _PLAIN.finditer(f"{text}\n{shown}" if shown else text):
        target = match[0].rstrip(".,;:!?")
        if target not in told:
            told.add(target)
            yield Link(target, host_of(target), target[:SHOWN])
            count += 1
            if count >= most:
                return


def _of_html(html: str) -> Iterator[Link]:
    at = 0
    while (begin := _BEGIN.search(html, at)) is not None:
        start = begin.end()
        limit = min(start + LONGEST_TAG, len(html))
        rest = _REST.match(html, start, limit)
        end = rest.end() if rest is not None else html.find(">", start, limit) + 1
        at = end or limit
        target = _TARGET.search(html, start, at)
        if target is None:
            continue
        url = unescape((target[1] or target[2] or target[3] or "")[:_LONGEST]).translate(_LEFT_OUT).strip()
        if url.lower().startswith(("http:", "https:", "//", "\\\\")):
            yield Link(url, host_of(url), _between(html, at))


def _between(html: str, at: int) -> str:
    """The text up to the end of the link, without tags."""
    piece = html[at : at + _BETWEEN]
    low = piece.lower()
    ends = [place for place in (low.find("</a"), low.find("<a ")) if place >= 0]
    return " ".join(unescape(_TAGS.sub(" ", piece[: min(ends, default=len(piece))])).split())[:SHOWN]


def host_of(url: str) -> str:
    """The host a browser would go to, in A-labels, "" when there is none (WHATWG URL: the last @, \\ is /)."""
    url = url.replace("\\", "/")
    rest = url.partition("//")[2] if "//" in url else url
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2].translate(_DOTS)
    if host.startswith("["):
        return host.partition("]")[0][1:].lower()
    name = host.partition(":")[0].strip(".").lower()
    return name if name.isascii() else _a_labels(name)


@lru_cache(maxsize=1024)
def _a_labels(host: str) -> str:
    """As the DNS and lists know it; a label that cannot be one is spelled in Punycode all the same."""
    try:
        return parse_domain(host)
    except BadAddress:
        labels = [each if each.isascii() else f"xn--{each.encode('punycode').decode()}" for each in host.split(".")]
        return ".".join(labels)
