"""IMAP responses as words: lists, octets, None for NIL. Only what servers send, read by a client of its own.

Written without looking at wire.imap, so that a misunderstanding there is not one here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_LITERAL: Final = re.compile(rb"~?\{(\d+)\}\r\n")
_ATOM: Final = re.compile(rb'[^\s()"\[]+')
_CODE: Final = re.compile(rb"\[([A-Z-]+)(?: ([^\]]*))?\]")


def split(data: bytes) -> list[Any]:
    """All words of a response. Raises ValueError when the parentheses do not match."""
    words, place = _list(data, 0)
    if place < len(data):
        raise ValueError(f"too many parentheses: {data[:200]!r}")
    return words


def _list(data: bytes, place: int) -> tuple[list[Any], int]:
    words: list[Any] = []
    while place < len(data):
        octet = data[place : place + 1]
        if octet == b" ":
            place += 1
        elif octet == b"(":
            inner, place = _list(data, place + 1)
            if data[place : place + 1] != b")":
                raise ValueError(f"a parenthesis is missing: {data[:200]!r}")
            words.append(inner)
            place += 1
        elif octet == b")":
            break
        else:
            word, place = _word(data, place)
            words.append(word)
    return words, place


def _word(data: bytes, place: int) -> tuple[Any, int]:
    literal = _LITERAL.match(data, place)
    if literal:
        end = literal.end() + int(literal[1])
        return data[literal.end() : end], end
    if data[place : place + 1] == b'"':
        return _quoted(data, place + 1)
    begin = place
    while place < len(data):
        if data[place : place + 1] == b"[":  # a section may have spaces and parentheses in it
            place = data.index(b"]", place) + 1
            continue
        found = _ATOM.match(data, place)
        if not found:
            break
        place = found.end()
    if place == begin:
        raise ValueError(f"no word at {data[place : place + 50]!r}")
    word = data[begin:place]
    return (None if word.upper() == b"NIL" else word), place


def _quoted(data: bytes, place: int) -> tuple[bytes, int]:
    out = bytearray()
    while data[place] != 0x22:
        if data[place] == 0x5C:
            place += 1
        out.append(data[place])
        place += 1
    return bytes(out), place + 1


def pairs(words: list[Any]) -> dict[bytes, Any]:
    """(NAME value NAME value) as a dictionary; names in upper case."""
    return {name.upper(): value for name, value in zip(words[::2], words[1::2], strict=True)}


def numbers(text: bytes) -> Iterator[int]:
    """A set such as 1:3,7."""
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        yield from range(int(low), int(high or low) + 1)


def printed(uids: list[int]) -> str:
    """Numbers as a set."""
    return ",".join(map(str, uids))


def codes(line: bytes) -> dict[bytes, bytes]:
    """The response codes of a status line."""
    return {found[1]: found[2] or b"" for found in _CODE.finditer(line)}
