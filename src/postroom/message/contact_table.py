"""Who is in a table of contacts (CSV), as mail programs export them: Thunderbird, Outlook, Google and others.

Trusts nothing. Columns are found by their headings, in English or German; where none says "mail", by what is in them.
Standards: RFC 4180; commas, semicolons or tabs between columns.
On failure: what cannot be read is told with its line, the rest is read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.message.vcard import Entry, People

_NOT_LETTERS: Final = re.compile(r"[^a-z0-9äöüß]+")
_MAIL: Final = re.compile(r"mail")
#: beside an address: "E-mail 1 - Type", "E-mail Display Name"
_NO_ADDRESS: Final = re.compile(r"label|type?$|display|anzeige|name$|format|prefer|mailing|voicemail")
_WHOLE: Final = frozenset({"displayname", "anzeigename", "name", "fullname", "fileas", "formattedname", "fn"})
_GIVEN: Final = frozenset({"firstname", "givenname", "vorname", "first", "given"})
_MIDDLE: Final = frozenset({"middlename", "additionalname", "weiterevornamen", "middle", "zweitervorname"})
_FAMILY: Final = frozenset({"lastname", "familyname", "nachname", "surname", "last", "family"})
_ADDRESS: Final = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
#: several values in a cell of Google's
_SEVERAL: Final = " ::: "
_LOOKED_AT: Final = 20  # rows


@dataclass(frozen=True, slots=True)
class _Columns:
    addresses: tuple[int, ...]
    whole: int
    parts: tuple[int, ...]

    def name(self, row: Sequence[str]) -> str:
        """Of a row."""
        whole = _cell(row, self.whole)
        return whole or " ".join(filter(None, (_cell(row, place) for place in self.parts)))


def read_table(text: str) -> People:
    """Never raises."""
    found = People()
    rows = list(_rows(text, found))
    if not rows:
        return found
    columns = _by_heading(rows[0][1])
    if columns.addresses:
        rows = rows[1:]
    else:
        columns = _by_content([row for _, row in rows[:_LOOKED_AT]])
    if not columns.addresses:
        found.unreadable.append((1, "no column holds addresses"))
        return found
    for line, row in rows:
        cells = [one.strip() for place in columns.addresses for one in _cell(row, place).split(_SEVERAL)]
        addresses = list(dict.fromkeys(filter(None, cells)))
        found.without += not addresses
        name = columns.name(row)
        found.entries += [Entry(line, address, name) for address in addresses]
    return found


def _rows(text: str, found: People) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, and the line each begins in."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        begun = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            found.unreadable.append((begun, str(fault)))
            continue
        if any(cell.strip() for cell in row):
            yield begun, row


def _by_heading(row: Sequence[str]) -> _Columns:
    heads = [_NOT_LETTERS.sub("", cell.casefold()) for cell in row]
    addresses = [place for place, head in enumerate(heads) if _MAIL.search(head) and not _NO_ADDRESS.search(head)]
    if any("@" in cell for cell in row):
        addresses = []  # no headings: the first row is somebody

    def place_of(fits: Callable[[str], bool]) -> int:
        return next((place for place, head in enumerate(heads) if fits(head)), -1)

    parts = tuple(place_of(names.__contains__) for names in (_GIVEN, _MIDDLE, _FAMILY))
    return _Columns(tuple(addresses), place_of(_WHOLE.__contains__), parts)


def _by_content(rows: Sequence[Sequence[str]]) -> _Columns:
    """Columns of which half of what is in them looks like an address; a name stands in the first of the others."""
    width = max(map(len, rows))
    addresses, others = [], []
    for place in range(width):
        cells = list(filter(None, (_cell(row, place) for row in rows)))
        like = sum(_ADDRESS.fullmatch(cell) is not None for cell in cells)
        if like and like * 2 >= len(cells):
            addresses.append(place)
        elif cells:
            others.append(place)
    return _Columns(tuple(addresses), others[0] if others else -1, ())


def _cell(row: Sequence[str], place: int) -> str:
    """On one line; "" for a column there is not."""
    return " ".join(row[place].split()) if 0 <= place < len(row) else ""
