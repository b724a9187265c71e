"""Who is in a file of cards: names and addresses, and the line each stands in; and cards as programs take them.

Trusts nothing. Versions 2.1, 3.0 and 4.0 are read alike: several cards in a file, folded lines, quoted-printable with
its soft line breaks, groups ("item1.EMAIL"), cards in cards (AGENT), whose addresses are left out.
Standards: RFC 6350 3.2 (folding), 3.3 (lines), 3.4 (escapes), 6.2.1 FN, 6.2.2 N, 6.4.2 EMAIL; RFC 2426 4.
On failure: what cannot be read is told with its line, the rest is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from postroom.message.charsets import to_text
from postroom.message.transfer import decode_transfer

_GROUP_NAME: Final = re.compile(r"(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)")
_PARAMETER: Final = re.compile(r';((?:"[^"]*"|[^";:])*)')
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_PARTS: Final = re.compile(r"(?<!\\)(?:\\\\)*;")
_SPECIAL: Final = re.compile(r"([\\;,])")
_WIDTH: Final = 75  # octets of a line, RFC 6350 3.2
#: what a card is named by, the best first
_NAMES: Final = ("FN", "N", "NICKNAME", "ORG")


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody with an address, as it is written there. line: counted from 1."""

    line: int
    address: str
    name: str


@dataclass(slots=True)
class People:
    """What a file holds. without: how many have no address; unreadable: lines, and why."""

    entries: list[Entry] = field(default_factory=list)
    without: int = 0
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def file_text(data: bytes) -> str:
    """A file's text: Unicode with or without a mark at its beginning, else what programs of Windows write."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def read_cards(text: str) -> People:
    """Never raises."""
    found, card, begun, depth, outside = People(), dict[str, list[tuple[int, str]]](), 0, 0, False
    for number, line in _unfolded(text):
        name, parameters, value = _line(line)
        is_card = value.strip().upper() == "VCARD"
        if name == "BEGIN" and is_card:
            depth += 1
            if depth == 1:
                card, begun, outside = {}, number, False
        elif not depth:
            if line.strip() and not outside:
                found.unreadable.append((number, "this is in no card"))
                outside = True
        elif name == "END" and is_card:
            depth -= 1
            if not depth:
                _take(card, found)
        elif depth == 1 and name in ("EMAIL", *_NAMES):
            card.setdefault(name, []).append((number, _value(parameters, value)))
    if depth:
        found.unreadable.append((begun, "this card has no end"))
        _take(card, found)
    return found


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Whole lines, and the number of the first of each."""
    begun, parts = 0, list[str]()
    soft = False
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if soft:
            parts.append("\n" + line)
        elif parts and line[:1] in (" ", "\t"):
            parts.append(line[1:])
        else:
            if parts:
                yield begun, "".join(parts)
            begun, parts = number, [line]
        # a soft line break of quoted-printable (RFC 2045 6.7) ends what it folds with "="
        soft = line.endswith("=") and "QUOTED-PRINTABLE" in parts[0].partition(":")[0].upper()
    if parts:
        yield begun, "".join(parts)


def _line(line: str) -> tuple[str, dict[str, str], str]:
    """Name in upper case, parameters by their names in upper case, value."""
    named = _GROUP_NAME.match(line)
    if named is None:
        return "", {}, line
    place, parameters = named.end(), dict[str, str]()
    while (one := _PARAMETER.match(line, place)) is not None:
        key, is_named, value = one[1].partition("=")
        if is_named:
            parameters[key.strip().upper()] = value.strip().strip('"')
        else:
            parameters.setdefault("ENCODING", key.strip())  # version 2.1: the value alone; TYPEs do no harm
            if key.strip().upper() in ("QUOTED-PRINTABLE", "BASE64"):
                parameters["ENCODING"] = key.strip()
        place = one.end()
    return named[1].upper(), parameters, line[place + 1 :] if line[place : place + 1] == ":" else ""


def _value(parameters: dict[str, str], value: str) -> str:
    if parameters.get("ENCODING", "").upper() == "QUOTED-PRINTABLE":
        charset = parameters.get("CHARSET", "utf-8")
        value = to_text(decode_transfer(value.encode("utf-8", "replace"), "quoted-printable"), charset)
    return value


def _plain(value: str) -> str:
    """RFC 6350 3.4; on one line."""
    value = _ESCAPED.sub(lambda one: " " if one[1] in "nN" else one[1], value)
    return " ".join(value.split())


def _take(card: dict[str, list[tuple[int, str]]], found: People) -> None:
    name = next(filter(None, (_named(kind, value) for kind in _NAMES for _, value in card.get(kind, ())[:1])), "")
    addresses = [(line, _plain(value)) for line, value in card.get("EMAIL", ())]
    addresses = [(line, _bare(address)) for line, address in addresses if address]
    found.without += not addresses
    found.entries += [Entry(line, address, name) for line, address in addresses]


def _bare(address: str) -> str:
    return address[7:] if address[:7].lower() == "mailto:" else address


def _named(kind: str, value: str) -> str:
    if kind not in ("N", "ORG"):
        return _plain(value)
    parts, begin = list[str](), 0
    for cut in _PARTS.finditer(value):
        parts.append(_plain(value[begin : cut.end() - 1]))
        begin = cut.end()
    parts.append(_plain(value[begin:]))
    if kind == "ORG":
        return parts[0]
    family, given, middle, before, after = (*parts, "", "", "", "")[:5]
    return " ".join(filter(None, (before, given, middle, family, after)))


def print_card(address: str, name: str) -> str:
    """A card of version 4.0 (RFC 6350 6.2.1: FN must be there)."""
    lines = ("BEGIN:VCARD", "VERSION:4.0", f"FN:{_written(name or address)}", f"EMAIL:{_written(address)}", "END:VCARD")
    return "".join(_folded(line) + "\r\n" for line in lines)


def _written(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text.replace("\n", " "))


def _folded(line: str) -> str:
    """RFC 6350 3.2; no character is cut in two."""
    lines, left = [""], _WIDTH
    for letter in line:
        size = len(letter.encode("utf-8", "replace"))
        if size > left:
            lines.append(" ")
            left = _WIDTH - 1
        lines[-1] += letter
        left -= size
    return "\r\n".join(lines)
