"""Text of Office Open XML (docx, xlsx, pptx) and OpenDocument files: XML in a ZIP file, walked as it comes.

Runs in the limited child. Names, counts and sizes in the file are believed for nothing: members are read in pieces and
counted, a document type declaration (the way to entities that explode) is refused, and reading ends when there is
enough text.
Standards: ISO/IEC 29500 (WordprocessingML 17.3, SpreadsheetML 18.3 and 18.4, DrawingML 21.1), OpenDocument 1.3 part 3.
On failure: Unreadable.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final
from xml.parsers import expat

from postroom.index.extraction.limits import Enough, Gathered, Unreadable

#: octets of XML that are read of one file, and of one piece
_MOST_XML: Final = 128 * 1024 * 1024
_PIECE: Final = 64 * 1024
_MOST_MEMBERS: Final = 20_000
_DEEPEST: Final = 256

#: the members that hold text, in the order they are read
_MEMBERS: Final = (
    re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml"),
    re.compile(r"xl/(?:sharedStrings|worksheets/sheet\d+|comments\d*)\.xml"),
    re.compile(r"ppt/(?:slides/slide|notesSlides/notesSlide|comments/comment)\d+\.xml"),
    re.compile(r"docProps/core\.xml"),
    re.compile(r"content\.xml|meta\.xml"),
)
#: elements (local names) whose characters are text; those of OpenDocument hold it directly
_TEXTS: Final = frozenset(("t", "instrText", "title", "subject", "keywords", "keyword", "description", "creator"))
_ODF_TEXTS: Final = frozenset(("p", "h"))
#: elements after which a new line, or a gap, begins
_LINES: Final = frozenset(("p", "h", "si", "row", "table-row", "br", "line-break", "cr", *_TEXTS - {"t", "instrText"}))
_GAPS: Final = frozenset(("tab", "tc", "c", "table-cell", "s"))
#: of a spreadsheet
_CELL: Final = "c"
_VALUE: Final = "v"


def office_text(data: bytes, out: Gathered) -> None:
    """Gather the text of the file. Raises Unreadable, Enough."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            left = _MOST_XML
            for name, is_odf in _members(archive):
                with archive.open(name) as member:
                    left -= _walk(member.read, out, left, is_odf=is_odf)
                out.add("\n")
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, NotImplementedError, RuntimeError, OSError) as fault:
        raise Unreadable(f"{type(fault).__name__}: {fault}") from fault
    except (EOFError, ValueError, KeyError) as fault:
        raise Unreadable(f"{type(fault).__name__}: {fault}") from fault


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, bool]]:
    """Names of members to read, and whether they are OpenDocument."""
    names = archive.namelist()
    if len(names) > _MOST_MEMBERS:
        raise Unreadable(f"{len(names)} members")
    is_odf = "mimetype" in names and "content.xml" in names
    for pattern in _MEMBERS:
        yield from [(name, is_odf) for name in sorted(names, key=_natural) if pattern.fullmatch(name)]


def _natural(name: str) -> tuple[int, str]:
    """slide2 before slide10."""
    digits = re.search(r"(\d{1,9})\.xml$", name)
    return int(digits[1]) if digits else 0, name


def _walk(read: Callable[[int], bytes], out: Gathered, most: int, *, is_odf: bool) -> int:
    """Feed one member's XML to the parser; how many octets it had. Raises Unreadable, Enough, ExpatError."""
    reader = _XmlReader(out, is_odf=is_odf)
    size = 0
    while piece := read(_PIECE):
        size += len(piece)
        if size > most:
            raise Enough
        reader.parser.Parse(piece, False)
    reader.parser.Parse(b"", True)
    return size


class _XmlReader:
    """Characters of the elements that hold text."""

    def __init__(self, out: Gathered, *, is_odf: bool) -> None:
        self._out = out
        self._texts = _ODF_TEXTS | _TEXTS if is_odf else _TEXTS
        self._inside = 0  # elements that hold text, open now
        self._depth = 0
        self._shared = False
        self._value = False
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = _refuse
        self.parser.EntityDeclHandler = _refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable("nested too deep")
        if local in self._texts:
            self._inside += 1
        elif local == _CELL:
            # ISO/IEC 29500-1 18.18.11: what a cell of a shared string has is the string's number
            self._shared = attributes.get("t") == "s"
        elif local == _VALUE:
            self._value = not self._shared
        if local in _GAPS:
            self._out.add(" ")

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        self._depth -= 1
        if local in self._texts:
            self._inside -= 1
        elif local == _VALUE:
            self._value = False
        if local in _LINES:
            self._out.add("\n")

    def _characters(self, text: str) -> None:
        if self._inside or self._value:
            self._out.add(text)


def _refuse(*_given: object) -> None:
    raise Unreadable("a document type declaration")
