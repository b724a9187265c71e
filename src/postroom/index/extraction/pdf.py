"""Text of a PDF file, by PDFium. Runs in the limited child: PDFium is C++ and reads strangers' files.

On failure: Unreadable.
"""

from __future__ import annotations

from typing import Final

from postroom.index.extraction.limits import Gathered, Unreadable

_MOST_PAGES: Final = 2000


def pdf_text(data: bytes, out: Gathered) -> None:
    """Gather the text of all pages. Raises Unreadable, Enough."""
    import pypdfium2  # 10 MB that only PDF files need

    try:
        document = pypdfium2.PdfDocument(data)
        for number in range(min(len(document), _MOST_PAGES)):
            try:
                page = document[number]
            except pypdfium2.PdfiumError:
                continue  # one page that is broken
            text = page.get_textpage()
            out.add(text.get_text_bounded())
            out.add("\n")
            text.close()
            page.close()
    except pypdfium2.PdfiumError as fault:
        raise Unreadable(str(fault)) from fault
