"""The query language: one line of text to a tree of what a message must be. The same in every room that searches.

    from:ann subject:"annual report" -is:read (larger:5M OR has:attachment) after:2026-01-01

Words and "phrases" side by side must all be there; OR, NOT or a minus, and ( ) combine; `field:` asks one thing of a
message, `field:(a OR b)` the same of several values. A word stands at the beginning of a word; a phrase is found as
it is written, wherever it stands.
Pure: text in, frozen tree out. Trusts nothing; length, depth and number of terms are limited.
On failure: BadQuery with the place and what to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final

from postroom.index.query_words import FLAGS, KEYWORDS, KINDS, parse_age, parse_day, parse_octets

MAX_LENGTH: Final = 4096
MAX_DEPTH: Final = 50
MAX_TERMS: Final = 200


class BadQuery(Exception):
    """A query that cannot be understood. at: the character where, from 0; advice: what to write instead."""

    def __init__(self, text: str, at: int, advice: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.at = at
        self.advice = advice


class Scope(Enum):
    """Where text is looked for."""

    ANY = "any"  # what people see: addresses, subject, names of files, body, attachments
    BODY = "body"
    SUBJECT = "subject"
    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    WITH = "with"  # From, To, Cc and Bcc
    LIST = "list"
    FILENAME = "filename"
    MESSAGE_ID = "msgid"


@dataclass(frozen=True, slots=True)
class Everything:
    """Every message."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text stands in `scope`. phrase: just so, anywhere; else at the beginning of a word."""

    scope: Scope
    text: str
    phrase: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A field of this name is there and holds the text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A system flag (values.flags) is set, or not."""

    bit: int
    on: bool


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword such as $Forwarded is set."""

    name: str


@dataclass(frozen=True, slots=True)
class Has:
    """A part of this kind is there: "attachment" or a key of query_words.KINDS."""

    kind: str


@dataclass(frozen=True, slots=True)
class Size:
    """Larger, or smaller, than so many octets."""

    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class Received:
    """Received from the first day on (None: ever) and before the second (None: until now), in the reader's zone."""

    since: date | None
    before: date | None


@dataclass(frozen=True, slots=True)
class Age:
    """Received more, or less, than so many seconds ago."""

    older: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class In:
    """In the mailbox of this name or use, or below it; "anywhere" is every mailbox."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    node: Node


@dataclass(frozen=True, slots=True)
class All:
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    nodes: tuple[Node, ...]


Node = Everything | Text | Header | Flag | Keyword | Has | Size | Received | Age | In | Not | All | Either

_TOKEN = re.compile(
    r"""\s*+(?:(?P<open>\()|(?P<close>\))|(?P<minus>-)(?=[^\s)])
    |(?P<field>[A-Za-z][A-Za-z_-]{0,40}):(?!//)|(?P<quoted>"(?:[^"\\]|\\.)*+(?P<end>"?))|(?P<word>[^\s()"]++))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    touches: bool = False  # the next token follows without a space


def parse(query: str) -> Node:
    """The tree of a query; an empty one is Everything. Raises BadQuery."""
    if len(query) > MAX_LENGTH:
        raise BadQuery(f"the query is longer than {MAX_LENGTH} characters", MAX_LENGTH, "Search for less at once.")
    parser = _Parser(_tokens(query), len(query))
    return parser.whole()


def mentions(node: Node, kind: type) -> bool:
    """Does a node of this kind stand anywhere in the tree?"""
    if isinstance(node, kind):
        return True
    if isinstance(node, Not):
        return mentions(node.node, kind)
    return isinstance(node, All | Either) and any(mentions(each, kind) for each in node.nodes)


def texts(node: Node) -> list[Text]:
    """Text that must be there: what a reader wants to see marked."""
    if isinstance(node, Text):
        return [node]
    if isinstance(node, All | Either):
        return [found for each in node.nodes for found in texts(each)]
    return []


def _tokens(query: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while match := _TOKEN.match(query, at):
        kind = str(match.lastgroup if match.lastgroup != "end" else "quoted")
        start = match.start(kind)
        at = match.end()
        touches = at < len(query) and not query[at].isspace()
        if kind == "quoted":
            if not match["end"]:
                raise BadQuery("this quotation mark is never closed", start, 'Write "…" around the whole phrase.')
            text = re.sub(r"\\(.)", r"\1", match["quoted"][1:-1], flags=re.DOTALL)
        else:
            text = match[kind]
        tokens.append(_Token(kind, text, start, touches))
    return tokens


class _Parser:
    """Recursive descent over tokens; `_field` is what words stand for now."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._length = length
        self._place = 0
        self._terms = 0

    def whole(self) -> Node:
        if not self._tokens:
            return Everything()
        node = self._either(0, None)
        if (left := self._next()) is not None:
            raise BadQuery("this closes nothing", left.at, "Take the ) away, or open one before it.")
        return node

    def _next(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _is_word(self, *words: str) -> bool:
        token = self._next()
        return token is not None and token.kind == "word" and token.text in words

    def _either(self, depth: int, field: _Token | None) -> Node:
        nodes = [self._all(depth, field)]
        while self._is_word("OR"):
            self._place += 1
            nodes.append(self._all(depth, field))
        return nodes[0] if len(nodes) == 1 else Either(tuple(nodes))

    def _all(self, depth: int, field: _Token | None) -> Node:
        nodes: list[Node] = []
        while (token := self._next()) is not None and token.kind != "close" and not self._is_word("OR"):
            if nodes and self._is_word("AND"):
                self._place += 1
            nodes.append(self._one(depth, field))
        if not nodes:
            before = self._tokens[self._place - 1] if self._place else None
            at = token.at if token is not None else self._length
            if before is not None and before.text in ("OR", "AND"):
                raise BadQuery(
                    f"nothing stands beside this {before.text}", before.at, f'To find the word: "{before.text}"'
                )
            raise _missing(at)
        return nodes[0] if len(nodes) == 1 else All(tuple(nodes))

    def _one(self, depth: int, field: _Token | None) -> Node:
        token = self._next()
        if token is None or token.kind == "close" or self._is_word("OR", "AND"):
            at = self._length if token is None else token.at
            raise _missing(at)
        if depth >= MAX_DEPTH:
            raise BadQuery(f"more than {MAX_DEPTH} levels of ( ) and -", token.at, "Write it flatter.")
        self._place += 1
        if token.kind == "minus" or (token.kind == "word" and token.text == "NOT"):
            return Not(self._one(depth + 1, field))
        if token.kind == "open":
            return self._group(depth, field, token)
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadQuery(f"more than {MAX_TERMS} things to look for", token.at, "Search for less at once.")
        if token.kind == "field":
            return self._field(token, depth, field)
        return _node(field, token)

    def _group(self, depth: int, field: _Token | None, opened: _Token) -> Node:
        node = self._either(depth + 1, field)
        closing = self._next()
        if closing is None:
            raise BadQuery("this ( is never closed", opened.at, "Put a ) where it ends.")
        self._place += 1
        return node

    def _field(self, token: _Token, depth: int, outer: _Token | None) -> Node:
        value = self._next() if token.touches else None
        if token.text.lower() not in _FIELDS or outer is not None:
            return self._no_field(token, value, outer)
        if value is None or value.kind not in ("word", "quoted", "open"):
            raise BadQuery(f"{token.text}: needs something after it", token.at, _FIELDS[token.text.lower()].advice)
        self._place += 1
        if value.kind == "open":
            return self._group(depth + 1, token, value)
        return _node(token, value)

    def _no_field(self, token: _Token, value: _Token | None, outer: _Token | None) -> Node:
        """Text that only looks like a field: "Re: offer", "note:this"."""
        near = difflib.get_close_matches(token.text.lower(), _FIELDS, n=1, cutoff=0.75)
        joined = value is not None and value.kind in ("word", "quoted")
        if near and joined and outer is None:
            advice = f'Did you mean {near[0]}: ? To find the text itself: "{token.text}:…"'
            raise BadQuery(f"there is no field {token.text}:", token.at, advice)
        text = f"{token.text}:"
        if joined and value is not None:
            self._place += 1
            text += value.text
        return _node(outer, _Token("word", text, token.at))


def _missing(at: int) -> BadQuery:
    advice = "Write a word or field:value; to find the words OR and AND, quote them."
    return BadQuery("something to look for is missing here", at, advice)


@dataclass(frozen=True, slots=True)
class _Field:
    """make: value, whether it was quoted, its place. Raises BadQuery."""

    make: Callable[[str, bool, int], Node]
    advice: str


def _node(field: _Token | None, value: _Token) -> Node:
    quoted = value.kind == "quoted"
    if not value.text.strip():
        raise BadQuery("there is nothing between these quotation marks", value.at, "Write what to look for.")
    if field is None:
        return Text(Scope.ANY, value.text, quoted)
    return _FIELDS[field.text.lower()].make(value.text, quoted, value.at)


def _text(scope: Scope, example: str) -> _Field:
    return _Field(lambda text, quoted, at: Text(scope, text, quoted), f"Such as {example}")


def _is(text: str, _quoted: bool, at: int) -> Node:
    name = text.lower()
    if name in FLAGS:
        return Flag(*FLAGS[name])
    if name in KEYWORDS:
        keyword, on = KEYWORDS[name]
        return Keyword(keyword) if on else Not(Keyword(keyword))
    raise BadQuery(f"a message is never {text!r}", at, _known(name, [*FLAGS, *KEYWORDS]))


def _has(text: str, _quoted: bool, at: int) -> Node:
    name = text.lower().removesuffix("s")
    if name != "attachment" and name not in KINDS:
        raise BadQuery(f"a message never has {text!r}", at, _known(name, ["attachment", *KINDS]))
    return Has(name)


def _known(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return (f"Did you mean {near[0]}? " if near else "") + f"Known: {', '.join(names)}"


def _size(larger: bool) -> Callable[[str, bool, int], Node]:
    def make(text: str, _quoted: bool, at: int) -> Node:
        octets = parse_octets(text)
        if octets is None:
            raise BadQuery(f"{text!r} is no size", at, "Write 500K, 5M or 1G, or a number of octets.")
        return Size(larger, octets)

    return make


def _days(choose: Callable[[date, date], Received]) -> Callable[[str, bool, int], Node]:
    def make(text: str, _quoted: bool, at: int) -> Node:
        days = parse_day(text)
        if days is None:
            raise BadQuery(f"{text!r} is no date", at, "Write 2026-03-31, or 2026-03 or 2026 for all of it.")
        return choose(*days)

    return make


def _age(older: bool) -> Callable[[str, bool, int], Node]:
    def make(text: str, _quoted: bool, at: int) -> Node:
        seconds = parse_age(text)
        if seconds is None:
            raise BadQuery(f"{text!r} is no length of time", at, "Write 12h, 7d, 3w, 6m or 1y.")
        return Age(older, seconds)

    return make


def _header(text: str, _quoted: bool, at: int) -> Node:
    name, _, value = text.partition("=")
    if not re.fullmatch(r"[!-9;-~]{1,100}", name):
        raise BadQuery(f"{name!r} is no name of a header field", at, "Write header:X-Mailer or header:X-Mailer=text.")
    return Header(name, value)


_FIELDS: Final[dict[str, _Field]] = {
    "from": _text(Scope.FROM, "from:ann or from:ann@example.org"),
    "to": _text(Scope.TO, "to:ann"),
    "cc": _text(Scope.CC, "cc:ann"),
    "bcc": _text(Scope.BCC, "bcc:ann"),
    "with": _text(Scope.WITH, "with:ann, whoever wrote or got it"),
    "subject": _text(Scope.SUBJECT, 'subject:offer or subject:"annual report"'),
    "body": _text(Scope.BODY, "body:offer"),
    "filename": _text(Scope.FILENAME, "filename:report.pdf or filename:pdf"),
    "list": _text(Scope.LIST, "list:announce.example.org"),
    "msgid": _text(Scope.MESSAGE_ID, "msgid:abc@example.org"),
    "header": _Field(_header, "Such as header:X-Mailer or header:X-Mailer=text."),
    "is": _Field(_is, f"Known: {', '.join([*FLAGS, *KEYWORDS])}"),
    "keyword": _Field(lambda text, quoted, at: Keyword(text), "Such as keyword:$Forwarded."),
    "has": _Field(_has, f"Known: attachment, {', '.join(KINDS)}"),
    "larger": _Field(_size(larger=True), "Such as larger:5M."),
    "smaller": _Field(_size(larger=False), "Such as smaller:100K."),
    "before": _Field(_days(lambda first, end: Received(None, first)), "Such as before:2026-03-31."),
    "after": _Field(_days(lambda first, end: Received(first, None)), "Such as after:2026-03-31, that day included."),
    "on": _Field(_days(Received), "Such as on:2026-03-31 or on:2026-03."),
    "older_than": _Field(_age(older=True), "Such as older_than:30d."),
    "newer_than": _Field(_age(older=False), "Such as newer_than:7d."),
    "in": _Field(lambda text, quoted, at: In(text), "Such as in:inbox, in:sent or in:Projects."),
}
