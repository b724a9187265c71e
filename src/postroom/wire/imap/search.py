"""SEARCH and UID SEARCH: the search program as a tree.

Standards: RFC 9051 6.4.4, RFC 3501 6.4.4 (RECENT, NEW, OLD, CHARSET), RFC 4731, RFC 5182, RFC 5267, RFC 9394 (RETURN),
RFC 5032 (OLDER, YOUNGER), RFC 7162 3.1.5 (MODSEQ), RFC 5466 (FILTER), RFC 8514 4.3 (SAVED…),
RFC 8474 6 (EMAILID, THREADID), RFC 6203 3 (FUZZY, RELEVANCY), RFC 9738 3.2 (UIDAFTER, UIDBEFORE).
Text is decoded here: from CHARSET, else as UTF-8 (which RFC 9051 makes the default and which US-ASCII is part of).
A CHARSET together with UTF8=ACCEPT is accepted as long as the text decodes: RFC 6855 3 says SHOULD reject, but clients
do it.
Trust: hostile; depth and number of keys are bounded.
On failure: BadSyntax, UnknownCharset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import structs

from postroom.values.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from postroom.wire.imap import charset
from postroom.wire.imap.commands import Key, Search, SearchKey
from postroom.wire.imap.dates import parse_day
from postroom.wire.imap.errors import CharsetForbidsFilter
from postroom.wire.imap.scanner import Scanner

#: codecs that a filter, which is UTF-8, agrees with
_UTF8: Final = frozenset(("utf_8", "ascii"))
MAX_DEPTH: Final = 100
_LAST_UID: Final = 2**32 - 1
MAX_KEYS: Final = 5000
_RETURN: Final = frozenset(("MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL", "RELEVANCY", "CONTEXT", "UPDATE"))
#: result options and the range of PARTIAL, as in Search
Options = tuple[tuple[str, ...] | None, tuple[int, int] | None]
NO_OPTIONS: Final[Options] = (None, None)

_BITS: Final = {"ANSWERED": ANSWERED, "DELETED": DELETED, "DRAFT": DRAFT, "FLAGGED": FLAGGED, "SEEN": SEEN}
_KEYS: Final = {key.value: key for key in Key}
#: keys without arguments
_CONSTANT: Final = {
    "ALL": SearchKey(Key.ALL),
    "SAVEDATESUPPORTED": SearchKey(Key.ALL),  # RFC 8514 4.3: every mailbox of ours keeps it
    "RECENT": SearchKey(Key.RECENT),
    "NEW": SearchKey(Key.NEW),
    "OLD": SearchKey(Key.OLD),
    **{name: SearchKey(Key.FLAGS, bits=bit) for name, bit in _BITS.items()},
    **{"UN" + name: SearchKey(Key.UNFLAGS, bits=bit) for name, bit in _BITS.items()},
}


def search(scanner: Scanner) -> Search:
    """[SP "RETURN" SP "(" options ")"] SP ["CHARSET" SP charset SP] search-key *(SP search-key)."""
    codec = "utf_8"
    scanner.space()
    options = return_options(scanner)
    if _word(scanner) == "CHARSET":
        scanner.keyword()
        scanner.space()
        codec = charset.codec_of(scanner.astring())
        scanner.space()
    tree, program = _criteria(scanner, codec)
    return _search(scanner, tree, program, options)


def in_charset(scanner: Scanner, codec: str, options: Options) -> Search:
    """1*(SP search-key) in a charset, to the end of the command (RFC 5256 5)."""
    scanner.space()
    tree, program = _criteria(scanner, codec)
    return _search(scanner, tree, program, options)


def criteria(scanner: Scanner) -> Search:
    """search-key *(SP search-key) in UTF-8, to the end: what a filter holds (RFC 5466 3.2)."""
    tree, program = _criteria(scanner, "utf_8")
    return _search(scanner, tree, program, NO_OPTIONS)


def _search(scanner: Scanner, tree: SearchKey, program: _Program, options: Options) -> Search:
    returns, partial = options
    if returns and "RELEVANCY" in returns and not (program.uses_fuzzy or program.uses_filters):
        raise scanner.fail("FUZZY key for RELEVANCY")  # RFC 6203 4
    return Search(tree, returns, program.uses_modseq, program.uses_filters, partial, program.uses_fuzzy)


def _criteria(scanner: Scanner, codec: str) -> tuple[SearchKey, _Program]:
    program = _Program(scanner, codec)
    keys = [program.key(0)]
    while not scanner.at_end():
        scanner.space()
        keys.append(program.key(0))
    return keys[0] if len(keys) == 1 else SearchKey(Key.AND, keys=tuple(keys)), program


def _word(scanner: Scanner) -> str:
    """The word that stands here, without going past it; "" when it is longer than what we look for."""
    head = scanner.text[scanner.pos : scanner.pos + 8].partition(b" ")[0]
    return head.decode("ascii", "replace").upper()


def return_options(scanner: Scanner) -> Options:
    """["RETURN" SP "(" search-return-opts ")" SP]; RFC 4731 3.1: an empty list means ALL."""
    if _word(scanner) != "RETURN":
        return NO_OPTIONS
    scanner.keyword()
    scanner.space()
    scanner.expect(b"(")
    options: dict[str, None] = {}
    partial = None
    while not scanner.accept(b")"):
        if options:
            scanner.space()
        option = scanner.keyword()
        if option not in _RETURN:
            raise scanner.fail("known result option")
        if option == "PARTIAL":
            if partial is not None:
                raise scanner.fail("one PARTIAL")
            scanner.space()
            partial = scanner.partial_range()
        options[option] = None
    if partial is not None and "ALL" in options:
        raise scanner.fail("either PARTIAL or ALL")  # RFC 9394 3.1
    scanner.space()
    return tuple(options) or ("ALL",), partial


class _Program:
    """Reads search keys; counts them."""

    __slots__ = ("codec", "count", "scanner", "uses_filters", "uses_fuzzy", "uses_modseq")

    def __init__(self, scanner: Scanner, codec: str) -> None:
        self.scanner = scanner
        self.codec = codec
        self.count = 0
        self.uses_modseq = False
        self.uses_filters = False
        self.uses_fuzzy = False

    def key(self, depth: int) -> SearchKey:
        """One search-key. depth: how many keys it stands in."""
        scanner = self.scanner
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_KEYS:
            raise scanner.fail("simpler search")
        first = scanner.text[scanner.pos : scanner.pos + 1]
        if first.isdigit() or first in (b"*", b"$"):
            return SearchKey(Key.SEQ, set=scanner.sequence_set())
        if first == b"(":
            return self._group(depth)
        name = scanner.keyword()
        constant = _CONSTANT.get(name)
        if constant is not None:
            return constant
        reader = _READERS.get(name)
        if reader is None:
            raise scanner.fail("known search key")
        scanner.space()
        return reader(self, name, depth)

    def _group(self, depth: int) -> SearchKey:
        """ "(" search-key *(SP search-key) ")"."""
        scanner = self.scanner
        scanner.expect(b"(")
        keys = [self.key(depth + 1)]
        while not scanner.accept(b")"):
            scanner.space()
            keys.append(self.key(depth + 1))
        return keys[0] if len(keys) == 1 else SearchKey(Key.AND, keys=tuple(keys))

    def text(self) -> str:
        """An astring in the charset of the command."""
        return charset.decode(self.scanner.astring(), self.codec)


def _not(program: _Program, _name: str, depth: int) -> SearchKey:
    return SearchKey(Key.NOT, keys=(program.key(depth + 1),))


def _fuzzy(program: _Program, _name: str, depth: int) -> SearchKey:
    program.uses_fuzzy = True
    return blurred(program.key(depth + 1))


def blurred(key: SearchKey) -> SearchKey:
    """The key with every text in it that may be met nearly; what must not be there, and all else, stays exact.

    RFC 6203 5: what fuzzy means for flags, dates, sizes and numbers is left to the server.
    """
    if key.key in (Key.AND, Key.OR):
        return structs.replace(key, keys=tuple(map(blurred, key.keys)))
    if key.key in (Key.BODY, Key.TEXT, Key.HEADER) and key.text:
        return SearchKey(Key.FUZZY, keys=(key,))
    return key


def _or(program: _Program, _name: str, depth: int) -> SearchKey:
    left = program.key(depth + 1)
    program.scanner.space()
    return SearchKey(Key.OR, keys=(left, program.key(depth + 1)))


def _uid(program: _Program, _name: str, _depth: int) -> SearchKey:
    return SearchKey(Key.UID, set=program.scanner.sequence_set())


def _uid_after(program: _Program, _name: str, _depth: int) -> SearchKey:
    """RFC 9738 3.2: as UID n+1:4294967295."""
    return _uids(program.scanner.nz_number(_LAST_UID) + 1, _LAST_UID)


def _uid_before(program: _Program, _name: str, _depth: int) -> SearchKey:
    """RFC 9738 3.2: as UID 1:n-1."""
    return _uids(1, program.scanner.nz_number(_LAST_UID) - 1)


def _uids(low: int, high: int) -> SearchKey:
    return SearchKey(Key.UID, set=((low, high),)) if low <= high else SearchKey(Key.NOT, keys=(SearchKey(Key.ALL),))


def _flag(program: _Program, name: str, _depth: int) -> SearchKey:
    return SearchKey(_KEYS[name], text=program.scanner.atom().decode("ascii"))


def _field(program: _Program, name: str, _depth: int) -> SearchKey:
    return SearchKey(Key.HEADER, name=name, text=program.text())


def _header(program: _Program, _name: str, _depth: int) -> SearchKey:
    name = program.text()
    program.scanner.space()
    return SearchKey(Key.HEADER, name=name, text=program.text())


def _text(program: _Program, name: str, _depth: int) -> SearchKey:
    return SearchKey(_KEYS[name], text=program.text())


def _date(program: _Program, name: str, _depth: int) -> SearchKey:
    # RFC 9051 9: date = date-text / DQUOTE date-text DQUOTE
    return SearchKey(_KEYS[name], number=parse_day(program.scanner.astring()))


def _objectid(program: _Program, name: str, _depth: int) -> SearchKey:
    return SearchKey(_KEYS[name], text=program.scanner.objectid())


def _number(program: _Program, name: str, _depth: int) -> SearchKey:
    return SearchKey(_KEYS[name], number=program.scanner.number())


def _interval(program: _Program, name: str, _depth: int) -> SearchKey:
    return SearchKey(_KEYS[name], number=program.scanner.nz_number(2**32 - 1))


def _modseq(program: _Program, _name: str, _depth: int) -> SearchKey:
    """RFC 7162 7: "MODSEQ" [SP entry-name SP ("priv" / "shared" / "all")] SP mod-sequence-valzer."""
    scanner = program.scanner
    if scanner.peek(b'"'):
        if not scanner.string().startswith(b"/flags/"):
            raise scanner.fail("name such as /flags/$MDNSent")
        scanner.space()
        if scanner.keyword() not in ("PRIV", "SHARED", "ALL"):
            raise scanner.fail("priv, shared or all")
        scanner.space()
    program.uses_modseq = True
    return SearchKey(Key.MODSEQ, number=scanner.number())


def _filter(program: _Program, _name: str, _depth: int) -> SearchKey:
    """RFC 5466 4: "FILTER" SP filter-name."""
    name = program.scanner.atom()
    if b"/" in name:
        raise program.scanner.fail("name of a filter")
    if program.codec not in _UTF8:
        raise CharsetForbidsFilter("FILTER is for UTF-8")
    program.uses_filters = True
    return SearchKey(Key.FILTER, name=name.decode("ascii"))


_READERS: Final[dict[str, Callable[[_Program, str, int], SearchKey]]] = {
    "NOT": _not,
    "OR": _or,
    "FUZZY": _fuzzy,
    "UID": _uid,
    "UIDAFTER": _uid_after,
    "UIDBEFORE": _uid_before,
    "KEYWORD": _flag,
    "UNKEYWORD": _flag,
    "HEADER": _header,
    **dict.fromkeys(("BCC", "CC", "FROM", "SUBJECT", "TO"), _field),
    **dict.fromkeys(("BODY", "TEXT"), _text),
    **dict.fromkeys(("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"), _date),
    **dict.fromkeys(("SAVEDBEFORE", "SAVEDON", "SAVEDSINCE"), _date),
    **dict.fromkeys(("EMAILID", "THREADID"), _objectid),
    **dict.fromkeys(("LARGER", "SMALLER"), _number),
    **dict.fromkeys(("OLDER", "YOUNGER"), _interval),
    "MODSEQ": _modseq,
    "FILTER": _filter,
}
