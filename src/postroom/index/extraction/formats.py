"""From a file's octets to its text, by its kind. Runs in the limited child.

On failure: Unreadable. Text that is longer than is kept is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from postroom.index.documents import names_of
from postroom.index.extraction import kinds
from postroom.index.extraction.limits import Enough, Gathered, Unreadable
from postroom.index.extraction.office import office_text
from postroom.index.extraction.pdf import pdf_text
from postroom.index.extraction.rtf import rtf_text
from postroom.message.charsets import to_text
from postroom.message.html_text import html_text
from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.message.search import all_headers, body_texts, header_lines
from postroom.message.transfer import UndecodableContent, decode_pieces

#: messages in attachments of messages in attachments
_DEEPEST: Final = 3


def text_of(kind: str, data: bytes) -> str:
    """The text of a file. Raises Unreadable."""
    out = Gathered()
    with suppress(Enough):
        _READERS[kind](data, out)
    return out.text()


def _plain(data: bytes, out: Gathered) -> None:
    charset = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
    out.add(to_text(data[: 4 * out.most], charset))


def _html(data: bytes, out: Gathered) -> None:
    out.add(html_text(to_text(data[: 16 * out.most])))


def _mail(data: bytes, out: Gathered, depth: int = 0) -> None:
    """A message with its own attachments."""
    parts = Parts.unpack(index(data).parts)

    def read(start: int, end: int) -> bytes:
        return data[start:end]

    for _, header in all_headers(read, parts):
        out.add("\n".join(header_lines(header)) + "\n")
    for _, texts in body_texts(read, parts):
        for text in texts:
            out.add(text)
        out.add("\n")
    for found in kinds.attachments(read, parts, names_of(read, parts)):
        with suppress(Unreadable, UndecodableContent):
            raw = iter((data[found.part.body_start : found.part.end],))
            inner = b"".join(decode_pieces(raw, found.part.encoding))
            if found.kind != kinds.MAIL:
                _READERS[found.kind](inner, out)
            elif depth < _DEEPEST:
                _mail(inner, out, depth + 1)


_READERS: Final[dict[str, Callable[[bytes, Gathered], None]]] = {
    kinds.PDF: pdf_text,
    kinds.OFFICE: office_text,
    kinds.RTF: rtf_text,
    kinds.TEXT: _plain,
    kinds.HTML: _html,
    kinds.MAIL: _mail,
}
