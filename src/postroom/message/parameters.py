"""Content-Type and Content-Disposition values: type, subtype and parameters, as mail really writes them.

Trusts nothing: comments, quoted strings, missing quotes, stray semicolons are read as well as can be.
Standards: RFC 2045 5.1, RFC 2183 2, RFC 2231 3 and 4 (continuations, charsets).
On failure: never; a type that cannot be read is None, a parameter that cannot be read is left out.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

#: (name as written, value without quoting)
Parameters = list[tuple[bytes, bytes]]

MAX_PARAMETERS = 200
#: octets of a value that are read
MAX_VALUE = 32 * 1024

_TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")\s*(?=;|$)")
_WORD = re.compile(rb"\s*(" + _TOKEN + rb")\s*(?=;|$)")
# the usual shape: no comments, no escapes
_PARAMETER = re.compile(rb';\s*([^\s=;"()*]+)\s*=\s*(?:"([^"\\]*)"|([^\s;"()]+))\s*(?=;|$)')
_NAME = re.compile(rb"[^\s=;]+")
_SKIP = re.compile(rb"[;\s\0]*+")
_EQUALS = re.compile(rb"\s*+=\s*+")
_QUOTED = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?', re.DOTALL)
_QUOTED_OR_COMMENT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|\(', re.DOTALL)
_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_UNESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_BARE = re.compile(rb"[^;]*")
# RFC 2231 7  initial-section, other-sections: name*2*=…
_SECTION = re.compile(rb"([^*]+)(?:\*([0-9]{1,4}))?(\*)?")
# RFC 2231 7  attribute-char, which needs no percent in an extended value
_ATTRIBUTE_CHARS = "!#$&+.^_`{|}~-"


def strip_comments(value: bytes) -> bytes:
    """The value with RFC 5322 3.2.2 comments replaced by a space; quoted strings are left alone."""
    if b"(" not in value:
        return value
    out: list[bytes] = []
    at = 0
    while found := _QUOTED_OR_COMMENT.search(value, at):
        if found[0] != b"(":
            out.append(value[at : found.end()])
            at = found.end()
            continue
        out += (value[at : found.start()], b" ")
        at = _comment_end(value, found.end())
    out.append(value[at:])
    return b"".join(out)


def _comment_end(value: bytes, at: int) -> int:
    depth = 1
    for found in _COMMENT.finditer(value, at):
        depth += (found[0] == b"(") - (found[0] == b")")
        if depth == 0:
            return found.end()
    return len(value)


def parse_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters) of a Content-Type value, names as written; None when it is no type/subtype."""
    value = value[:MAX_VALUE]
    found = _TYPE.match(value)
    if found is None:
        value = strip_comments(value)
        found = _TYPE.match(value)
        if found is None:
            return None
    return found[1], found[2], _parameters(value, found.end())


def parse_value(value: bytes) -> tuple[bytes, Parameters] | None:
    """(word, parameters) of a value like Content-Disposition's; None when it begins with no word."""
    value = value[:MAX_VALUE]
    found = _WORD.match(value)
    if found is None:
        value = strip_comments(value)
        found = _WORD.match(value)
        if found is None:
            return None
    return found[1], _parameters(value, found.end())


def _parameters(value: bytes, at: int) -> Parameters:
    """The parameters from `at` on, RFC 2231 sections joined."""
    found: Parameters = []
    end = len(value)
    match = _PARAMETER.match
    while at < end:
        usual = match(value, at)
        if usual is None:
            return _join_sections(found + _odd_parameters(strip_comments(value[at:])))
        name, quoted, bare = usual.groups()
        found.append((name, bare if quoted is None else quoted))
        at = usual.end()
        if len(found) >= MAX_PARAMETERS:
            break
    return found


def _odd_parameters(value: bytes) -> Parameters:
    """Parameters that need care: escapes, missing quotes, doubled semicolons, RFC 2231 names."""
    found: Parameters = []
    at, end = 0, len(value)
    while at < end and len(found) < MAX_PARAMETERS:
        skipped = _SKIP.match(value, at)
        at = skipped.end() if skipped else at
        name = _NAME.match(value, at)
        if name is None:
            at += 1
            continue
        equals = _EQUALS.match(value, name.end())
        if equals is None:
            at = name.end()
            continue
        read = _QUOTED.match(value, equals.end())
        if read:
            found.append((name[0], _UNESCAPE.sub(rb"\1", read[1])))
            at = read.end()
        elif read := _BARE.match(value, equals.end()):
            found.append((name[0], read[0].strip()))
            at = read.end()
    return found


def _join_sections(found: Parameters) -> Parameters:
    """RFC 2231 3: name*0, name*1, … become one parameter.

    With any extended section (name*0*) the joined parameter is "name*" and keeps the form charset'language'percent,
    which is what clients decode; RFC 9051 7.5.2 asks for bare UTF-8 there, which they would take for damage.
    """
    if not any(b"*" in name for name, _ in found):
        return found
    sections: dict[bytes, list[tuple[int, bool, bytes]]] = {}
    plain: Parameters = []
    spelling: dict[bytes, bytes] = {}
    for name, value in found:
        section = _SECTION.fullmatch(name)
        if section is None or (section[2] is None and section[3] is None):
            plain.append((name, value))
            continue
        key = section[1].lower()
        spelling.setdefault(key, section[1])
        number = int(section[2]) if section[2] else -1
        sections.setdefault(key, []).append((number, section[3] is not None, value))
    plain.extend(_join(spelling[key], pieces) for key, pieces in sections.items())
    return plain


def _join(name: bytes, pieces: list[tuple[int, bool, bytes]]) -> tuple[bytes, bytes]:
    pieces.sort(key=_section_number)
    if pieces[0][0] == -1:  # name*=… alone is complete
        return name + b"*", pieces[0][2]
    if not any(extended for _, extended, _ in pieces):
        return name, b"".join(value for _, _, value in pieces)
    first_extended = pieces[0][1]
    joined = b"".join(
        value if extended else quote_from_bytes(value, safe=_ATTRIBUTE_CHARS).encode() for _, extended, value in pieces
    )
    return name + b"*", joined if first_extended else b"''" + joined


def _section_number(piece: tuple[int, bool, bytes]) -> int:
    return piece[0]


def parameter(found: Parameters, name: bytes) -> bytes | None:
    """The first value of this parameter (lower case name), RFC 2231 encoding undone but not its charset."""
    extended = name + b"*"
    for key, value in found:
        lower = key.lower()
        if lower == name:
            return value
        if lower == extended:
            return decode_extended(value)[1]
    return None


def decode_extended(value: bytes) -> tuple[bytes, bytes]:
    """(charset label, octets) of an RFC 2231 4 value charset'language'percent-encoded."""
    charset, quote, rest = value.partition(b"'")
    language, second, text = rest.partition(b"'")
    if not quote or not second or b"%" in charset or b"%" in language:
        return b"", unquote_to_bytes(value)
    return charset, unquote_to_bytes(text)
