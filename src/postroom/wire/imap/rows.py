r"""FETCH responses: whole runs of messages from columns, and single ones piece by piece (RFC 9051 7.5.2).

Purpose: the two hot rows, flags and envelopes, at the price of copying their octets: one template repeated for the
run, one `%` over all values.
Ownership: takes plain sequences of equal length; keeps nothing.
Trust: columns are ours. Envelopes and structures are IMAP text rendered at delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from postroom.values.flags import PRINTED
from postroom.wire.imap.commands import Attribute, Item
from postroom.wire.imap.dates import print_date_times
from postroom.wire.imap.response import flag_names
from postroom.wire.imap.strings import NIL, literal_start

__all__ = ["Columns", "FlagTexts", "RowFormat", "dates", "flags_row", "item_text", "literal_item", "nil_item", "single"]

_FORMATS: Final = {
    Attribute.UID: b"UID %d",
    Attribute.FLAGS: b"FLAGS (%b)",
    Attribute.INTERNALDATE: b"INTERNALDATE %b",
    Attribute.SIZE: b"RFC822.SIZE %d",
    Attribute.ENVELOPE: b"ENVELOPE %b",
    Attribute.BODY: b"BODY %b",
    Attribute.BODYSTRUCTURE: b"BODYSTRUCTURE %b",
    Attribute.MODSEQ: b"MODSEQ (%d)",
    Attribute.SAVEDATE: b"SAVEDATE %b",
    Attribute.EMAILID: b"EMAILID (%b)",
    Attribute.THREADID: b"THREADID (%b)",
    Attribute.PREVIEW: b"PREVIEW %b",
    Attribute.LAZY_PREVIEW: b"PREVIEW %b",
}

#: one column for each attribute, values in the order of the messages
Columns = Sequence[Iterable[object]]


class RowFormat:
    """How the messages of one FETCH are printed. Made once for a command, used for every run.

    uidonly: UIDFETCH, whose number is the UID (RFC 9586 3.3).

    attributes: what the columns must hold, in this order: UID, SIZE, MODSEQ integers; FLAGS the inside of the list
    (FlagTexts); INTERNALDATE and SAVEDATE quoted (dates()); the others octets as they are printed.
    """

    __slots__ = ("_template", "attributes")

    def __init__(self, attributes: Iterable[Attribute], *, uidonly: bool = False) -> None:
        self.attributes = tuple(attributes)
        words = b" ".join([_FORMATS[attribute] for attribute in self.attributes])
        self._template = (b"* %d UIDFETCH (" if uidonly else b"* %d FETCH (") + words + b")\r\n"

    @classmethod
    def of(cls, items: Iterable[Item], *, uidonly: bool = False) -> RowFormat | None:
        """The format for these items, or None when one of them needs a message's own octets."""
        attributes = [item.attribute for item in items]
        return cls(attributes, uidonly=uidonly) if all(attribute in _FORMATS for attribute in attributes) else None

    def rows(self, numbers: Iterable[int], columns: Columns, count: int) -> bytes:
        """The responses of count messages, joined: best a page at a time (a few hundred to a few thousand).

        Raises ValueError when the columns are not all of that length.
        """
        values = tuple(chain.from_iterable(zip(numbers, *columns, strict=True)))
        width = len(self.attributes) + 1
        if len(values) != count * width:
            raise ValueError("columns are not as long as said")
        return self._template * count % values


class FlagTexts(dict[tuple[int, int], bytes]):
    """Flag lists of a mailbox as octets: (system flags, keyword bits) to the inside of the parentheses.

    keywords: the mailbox's names in the order of their bits (store Snapshot.keywords).
    """

    def __init__(self, keywords: Sequence[str]) -> None:
        super().__init__()
        self._keywords = tuple(keywords)

    def __missing__(self, key: tuple[int, int]) -> bytes:
        system, bits = key
        chosen = [name for place, name in enumerate(self._keywords) if bits >> place & 1]
        text = flag_names(PRINTED[system], chosen)
        if len(self) < 4096:  # combinations in use are few; a hostile mailbox does not matter
            self[key] = text
        return text

    def column(self, flags: bytes, keywords: Sequence[int]) -> Iterable[bytes]:
        """The texts of a run of messages; flags: octets, keywords: bit sets, both of one length."""
        if not any(keywords):
            return map(PRINTED.__getitem__, flags)
        return map(self.__getitem__, zip(flags, keywords, strict=True))


def dates(seconds: Sequence[int]) -> list[bytes]:
    """The INTERNALDATE column of Unix seconds."""
    return print_date_times(seconds)


def flags_row(seq: int, uid: int | None, text: bytes, modseq: int | None = None) -> bytes:
    """One FETCH of flags, as after STORE or when another client changed them; without UID when uid is None."""
    words = [] if uid is None else [b"UID %d" % uid]
    words.append(b"FLAGS (%b)" % text)
    if modseq is not None:
        words.append(b"MODSEQ (%d)" % modseq)
    return single(seq, words)


# -- single messages ----------------------------------------------------------------------------------------------
def single(seq: int, words: Iterable[bytes]) -> bytes:
    """One FETCH response of item texts."""
    return b"* %d FETCH (%b)\r\n" % (seq, b" ".join(words))


def item_text(item: Item, value: object) -> bytes:
    """One item of a row as text; value as RowFormat's columns hold it."""
    return _FORMATS[item.attribute] % value


def _label(item: Item) -> bytes:
    """RFC 9051 7.5.2: BODY[section]<origin octet>."""
    return item.label if item.partial is None else b"%b<%d>" % (item.label, item.partial[0])


def literal_item(item: Item, size: int, binary: bool = False) -> bytes:
    """What stands before the octets of a section: label and literal; the octets follow, in pieces if they are many.

    binary: there may be NUL in them (RFC 3516 4.3: only in BINARY).
    """
    return b"%b %b" % (_label(item), literal_start(size, binary))


def nil_item(item: Item) -> bytes:
    """A section that the message does not have."""
    return b"%b %b" % (_label(item), NIL)
