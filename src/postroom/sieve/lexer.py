"""Cuts a script into tokens.

Trusts nothing: any octets give tokens and faults. Bare LF counts as a line end, for that is how scripts are edited;
strings hold CRLF whichever the script has.
Standards: RFC 5228 2.1 to 2.4 and 8.1.
On failure: what is no token is a fault, and reading goes on behind it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from postroom.sieve.faults import Fault, Lines

#: RFC 5228 2.4.1 asks for 2^31 - 1 at least
LARGEST_NUMBER: Final = 2**63 - 1
_QUANTIFIERS: Final = {"K": 2**10, "M": 2**20, "G": 2**30}

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]++)
    |(?P<comment>\#[^\n]*+|/\*.*?\*/)
    |(?P<multi>[Tt][Ee][Xx][Tt]:[ \t]*+(?:\#[^\n]*+)?\r?\n)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*+)
    |(?P<tag>:[A-Za-z_][A-Za-z0-9_]*+)
    |(?P<number>[0-9]++[KMGkmg]?(?![A-Za-z0-9_]))
    |(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    |(?P<special>[\[\](){},;])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_LINE_END: Final = re.compile(r"\r?\n")
_LAST_LINE: Final = re.compile(r"^\.\r?(?:\n|\Z)", re.MULTILINE)
_WRONG: Final = re.compile(r"[^\s\"#;{}()\[\],:A-Za-z0-9]+|.", re.DOTALL)


class Token(NamedTuple):
    """kind: name, tag, number, string, comment, wrong, end, or the character itself; at: its place in the text."""

    kind: str
    text: str
    at: int
    value: int = 0


def decode(script: bytes) -> tuple[str, list[Fault]]:
    """The text of a script and what is wrong with its octets (RFC 5228 2.1: UTF-8)."""
    try:
        text = script.decode("utf-8")
    except UnicodeDecodeError as wrong:
        text = script[: wrong.start].decode("utf-8", "replace")
        return text, [Lines(text).fault(len(text), "this is not UTF-8", "save the script as UTF-8")]
    at = text.find("\0")
    if at >= 0:
        return text[:at], [Lines(text).fault(at, "a NUL character", "remove it")]
    return text.removeprefix("\ufeff"), []


class Lexer:
    """One text on its way to tokens; `faults` are complete when `tokens` has returned."""

    __slots__ = ("_lines", "_text", "faults")

    def __init__(self, text: str, lines: Lines) -> None:
        self._text = text
        self._lines = lines
        self.faults: list[Fault] = []

    def tokens(self) -> list[Token]:
        """All tokens, comments included, and one of kind "end"."""
        text, at, end = self._text, 0, len(self._text)
        found: list[Token] = []
        match = _TOKEN.match
        while at < end:
            token = match(text, at)
            if token is None:
                found.append(Token("wrong", "", at))
                at = self._wrong(at)
                continue
            kind, start, at = token.lastgroup, at, token.end()
            if kind == "space":
                continue
            if kind == "special":
                found.append(Token(token[0], token[0], start))
            elif kind == "quoted":
                found.append(Token("string", self._unquoted(token[0]), start))
            elif kind == "number":
                found.append(self._number(token[0], start))
            elif kind == "multi":
                value, at = self._multi(start, at)
                found.append(Token("string", value, start))
            elif kind == "tag":
                found.append(Token("tag", token[0][1:].lower(), start))
            elif kind == "name":
                found.append(Token("name", token[0].lower(), start))
            else:
                found.append(Token("comment", _comment(token[0]), start))
        found.append(Token("end", "", end))
        return found

    def _unquoted(self, quoted: str) -> str:
        value = quoted[1:-1]
        if "\\" in value:
            value = _ESCAPE.sub(r"\1", value)
        return _LINE_END.sub("\r\n", value) if "\n" in value else value

    def _number(self, text: str, at: int) -> Token:
        scale = _QUANTIFIERS.get(text[-1].upper(), 1)
        digits = text.rstrip("KMGkmg")
        value = int(digits) * scale if len(digits) <= 20 else LARGEST_NUMBER + 1
        if value > LARGEST_NUMBER:
            self._fault(at, f"the number {text[:30]} is too large", f"at most {LARGEST_NUMBER}")
            value = LARGEST_NUMBER
        return Token("number", text, at, value)

    def _multi(self, start: int, at: int) -> tuple[str, int]:
        """RFC 5228 2.4.2: the lines up to a lone dot; a dot that begins a line was doubled."""
        last = _LAST_LINE.search(self._text, at)
        if last is None:
            self._fault(start, "a text: that never ends", "end it with a line that holds only a dot")
            return "", len(self._text)
        lines = _LINE_END.split(self._text[at : last.start()])
        return "\r\n".join([line[1:] if line[:2] == ".." else line for line in lines]), last.end()

    def _wrong(self, at: int) -> int:
        text = self._text
        if text[at] == '"':
            self._fault(at, "a string that never ends", 'end it with "')
            return len(text)
        if text.startswith("/*", at):
            self._fault(at, "a comment that never ends", "end it with */")
            return len(text)
        if text[at].isdigit():
            end = at
            while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                end += 1
            self._fault(at, f"{text[at:end][:30]} is no number", "digits, and K, M or G behind them")
            return end
        found = _WRONG.match(text, at)
        end = found.end() if found else at + 1
        self._fault(at, f"{text[at:end][:30]} means nothing here", _hint(text[at]))
        return end

    def _fault(self, at: int, text: str, advice: str) -> None:
        self.faults.append(self._lines.fault(at, text, advice))


def _comment(text: str) -> str:
    return text.rstrip("\r") if text[0] == "#" else text.replace("\r\n", "\n")


def _hint(character: str) -> str:
    if character in "'\u201c\u201d\u2018\u2019\u201e":
        return 'strings stand in straight double quotes: "…"'
    if character == "/":
        return "comments are # … or /* … */"
    if character in "=!<>&|":
        return "tests are words: not, anyof, allof"
    return ""
