"""Files as people attach them, made by the libraries that people's programs are made of."""

from __future__ import annotations

import io
import zipfile

import docx
import openpyxl
import pptx
from reportlab.pdfgen import canvas


def pdf(*pages: str) -> bytes:
    out = io.BytesIO()
    page = canvas.Canvas(out)
    for text in pages:
        page.drawString(100, 700, text)
        page.showPage()
    page.save()
    return out.getvalue()


def word(*paragraphs: str, cells: tuple[str, ...] = (), header: str = "") -> bytes:
    out = io.BytesIO()
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if cells:
        table = document.add_table(rows=1, cols=len(cells))
        for place, text in enumerate(cells):
            table.cell(0, place).text = text
    if header:
        document.sections[0].header.paragraphs[0].text = header
    document.save(out)
    return out.getvalue()


def sheet(rows: list[list[object]], title: str = "Sheet") -> bytes:
    out = io.BytesIO()
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = title
    for row in rows:
        page.append(row)
    book.save(out)
    return out.getvalue()


def slides(*texts: str, notes: str = "") -> bytes:
    out = io.BytesIO()
    show = pptx.Presentation()
    for text in texts:
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = text
    if notes:
        show.slides[0].notes_slide.notes_text_frame.text = notes
    show.save(out)
    return out.getvalue()


_OPEN = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body><office:text>'
)


def opendocument(body: str) -> bytes:
    return archive(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "content.xml": f"{_OPEN}{body}</office:text></office:body></office:document-content>".encode(),
        }
    )


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


RTF = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}}{\colortbl;\red255\green0\blue0;}"
    rb"{\*\generator Writer;}{\info{\title Titled}}\f0 Gr\'fc\'dfe, \b bold\b0  and \i italic\i0\par"
    rb" price \u8364? 5 \u-10179?\u-8704?\line second\cell{\pict 010203}\par}"
)
