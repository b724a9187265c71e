"""HTML as the text a reader sees, for search and display: no tags, no scripts, one line for each block.

Not a renderer: what style sheets hide stays, tables become lines. Beside the text stand the words that take the place
of pictures (alt), titles, and the hosts that links lead to.
Work and memory grow with the length of the input, whatever it is: unclosed tags and comments are no loops.
Pure; trusts nothing. On failure: never.
Standards: HTML Living Standard 13.2 (roughly: names of tags, comments, raw text), character references.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Final

#: white space beside these tags is not shown, and text on both sides of them is not one word
_BLOCKS: Final = frozenset((
    "address", "article", "aside", "blockquote", "body", "br", "button", "center", "dd", "details", "dialog",
    "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frame", "frameset", "h1",
    "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "iframe", "legend", "li", "link", "main",
    "menu", "meta", "nav", "object", "ol", "optgroup", "option", "p", "pre", "section", "select", "style",
    "script", "summary", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "title", "tr", "ul", "video",
))  # fmt: skip
#: elements whose content is not for readers
_RAW: Final = frozenset(("script", "style", "noembed", "noframes", "xmp", "template"))
#: the usual ones that nothing stands in place of
_INLINE: Final = (
    "b",
    "i",
    "em",
    "u",
    "strong",
    "span",
    "font",
    "small",
    "sub",
    "sup",
    "o:p",
    "big",
    "code",
    "tt",
    "s",
    "strike",
)
_WITH_WORDS: Final = frozenset(("a", "area", "img", "input", "abbr"))

#: a tag as nearly all are; what is none stays in the text between
_TAG = re.compile(r"<([a-zA-Z/!?][^\s<>]*+)([^<>]*+)>")
_WORDS = re.compile(r"""\b(alt|title)\s*=\s*(?:"([^"]*+)"|'([^']*+)'|([^\s>"']++))""", re.IGNORECASE)
_LINK = re.compile(r"""\bhref\s*=\s*["']?\s*https?://(?:[^\s/"'>@]*+@)?([^\s/"'>?#:]++)""", re.IGNORECASE)
#: an unfinished tag longer than this is none
_LONGEST_TAG: Final = 65_536
_BREAK: Final = "\r"
#: what stands in place of a tag, by its name as written; others are looked up in lower case
_PLACE: Final = {
    written: _BREAK if name in _BLOCKS else ""
    for name in (*_BLOCKS, *_INLINE)
    if name not in _RAW
    for written in (name, name.upper(), f"/{name}", f"/{name.upper()}")
}


def html_text(html: str) -> str:
    """The text of a whole document."""
    return "".join(html_pieces((html,)))


def html_pieces(pieces: Iterable[str], *, tidy: bool = True) -> Iterator[str]:
    """The text of a document that comes in pieces; a tag may lie in two of them. Each gives one piece of text.

    tidy: as lines, white space shortened; else it stands as it comes, for those who take words only.
    """
    reader = _Reader(tidy)
    for piece in pieces:
        yield reader.feed(piece)
    yield reader.end()


class _Reader:
    """What was begun and is not ended: a tag, a comment, an element that is skipped."""

    __slots__ = ("_in_comment", "_out", "_rest", "_skipped", "_tidy")

    def __init__(self, tidy: bool = True) -> None:
        self._tidy = tidy
        self._rest = ""  # a tag without its end
        self._in_comment = False
        self._skipped = ""  # "/" and the name of the element
        self._out: list[str] = []

    def feed(self, html: str) -> str:
        """The text of what is whole by now."""
        html = self._without_comments(self._rest + html)
        if self._in_comment:
            return self._text(html)
        cut = html.rfind("<")
        closed = html.find(">", cut)
        if cut < 0 or closed >= 0:  # no tag is open: perhaps a word is
            cut = max(html.rfind(" ", closed + 1), html.rfind("\n", closed + 1), closed + 1)
        if len(html) - cut > _LONGEST_TAG:
            cut = len(html)
        self._rest = html[cut:]
        return self._text(html[:cut])

    def end(self) -> str:
        """What was left of it: a tag that never ended is text."""
        rest, self._rest = self._rest, ""
        return self._text("" if self._in_comment else rest)

    def _text(self, html: str) -> str:
        parts = _TAG.split(html)
        out = self._out
        if not self._skipped:
            out.append(parts[0])
        for name, attributes, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            place = _PLACE.get(name)
            if place is None or self._skipped:
                self._seldom(name, attributes)
            elif place:
                out.append(place)
            if not self._skipped:
                out.append(_after_quote(text) if attributes.count('"') & 1 else text)
        shown = unescape("".join(out))
        out.clear()
        if not self._tidy:
            return shown
        return "".join(f"{line}\n" for part in shown.split(_BREAK) if (line := " ".join(part.split())))

    def _seldom(self, name: str, attributes: str) -> None:
        """A tag that begins or ends what is skipped, or has words of its own."""
        word = name.lower()
        if self._skipped:
            if word == self._skipped:
                self._skipped = ""
                self._out.append(_BREAK)
            return
        word = word.removesuffix("/")
        if word in _WITH_WORDS:
            self._words(attributes)
        elif word in _RAW and not attributes.endswith("/"):
            self._skipped = f"/{word}"
        elif word.removeprefix("/") in _BLOCKS:
            self._out.append(_BREAK)

    def _words(self, attributes: str) -> None:
        for words in _WORDS.finditer(attributes):
            self._out += (_BREAK, words[2] or words[3] or words[4] or "", _BREAK)
        if link := _LINK.search(attributes):
            self._out += (" ", link[1], " ")

    def _without_comments(self, html: str) -> str:
        if not self._in_comment and "<!--" not in html:
            return html
        kept: list[str] = []
        at = 0
        while at < len(html):
            if self._in_comment:
                end = html.find("-->", at)
                if end < 0:
                    self._rest = html[max(at, len(html) - 2) :]
                    break
                self._in_comment, at = False, end + 3
            begin = html.find("<!--", at)
            if begin < 0:
                kept.append(html[at:])
                break
            kept.append(html[at:begin])
            self._in_comment, at = True, begin + 4
        return "".join(kept)


def _after_quote(text: str) -> str:
    """The text after a tag that seemed to end at a ">" between quotation marks."""
    quote = text.find('"')
    end = text.find(">", quote) if quote >= 0 else -1
    return text[end + 1 :] if end >= 0 else text
