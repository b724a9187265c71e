"""Made mail as octets: MIME, HTML as newsletters have it, attachments, and the tricks of unwanted mail.

Pure but for the chance it is given. On failure: never.
"""

from __future__ import annotations

import base64
import html
import io
import quopri
import random
import re
import zipfile
from collections.abc import Callable
from email.header import Header
from email.utils import formatdate
from typing import Final

_URL: Final = re.compile(r"https?://[^\s<>]+")
_LEET: Final = str.maketrans("aeio", "4310")
_ALIEN: Final = str.maketrans("aeopcxy", "\u0430\u0435\u043e\u0440\u0441\u0445\u0443")
_STYLE: Final = (
    "<style>body{margin:0;font-family:Arial,sans-serif}.c{max-width:600px;margin:0 auto}td{padding:12px 18px;"
    "color:#333333;line-height:1.5}a{color:#0a66c2}.f{font-size:12px;color:#888888}</style>"
)
_PREHEADER: Final = '<div style="display:none;max-height:0;overflow:hidden">{}' + "&#847;&zwnj;&nbsp;" * 40 + "</div>"
_PIXEL: Final = '<img src="https://{}/o.gif?{}" width="1" height="1" alt="">'


def disguised(text: str, tricks: tuple[str, ...], chance: random.Random) -> str:
    """Some of the longer words of the text disguised."""
    hide: list[Callable[[str], str]] = []
    if "leet" in tricks:
        hide.append(lambda word: word.translate(_LEET))
    if "apart" in tricks:
        hide.append(lambda word: chance.choice(" .-").join(word))
    if "alien" in tricks:
        hide.append(lambda word: word.translate(_ALIEN))
    if "zerowidth" in tricks:
        hide.append(lambda word: "".join(letter + chance.choice(("", "\u200b", "\u200c")) for letter in word))
    if not hide:
        return text

    def swap(match: re.Match[str]) -> str:
        return chance.choice(hide)(match[0]) if chance.random() < 0.5 else match[0]

    pieces = _URL.split(text)
    links = [*_URL.findall(text), ""]
    return "".join(re.sub(r"\b[A-Za-z]{5,12}\b", swap, piece) + link for piece, link in zip(pieces, links, strict=True))


def page(text: str, chance: random.Random, *, tracker: str = "", rich: bool = False, show: str = "") -> str:
    """HTML of a text. tracker: a host that links lead over; rich: as newsletters are; show: what links show."""

    def anchor(url: str) -> str:
        target = f"https://{tracker}/c/{chance.getrandbits(64):x}" if tracker else url
        shown = show or (url if chance.random() < 0.3 else chance.choice(("Read more", "here", "View online", "Open")))
        return f'<a href="{html.escape(target)}" target="_blank">{html.escape(shown)}</a>'

    blocks = []
    for block in text.strip().split("\n\n"):
        escaped = "<br>\n".join(
            "".join(
                html.escape(piece) if number % 2 == 0 else anchor(piece)
                for number, piece in enumerate(re.split(f"({_URL.pattern})", line))
            )
            for line in block.split("\n")
        )
        blocks.append(f"<tr><td><p>{escaped}</p></td></tr>" if rich else f"<p>{escaped}</p>")
    if not rich:
        return f"<html><body>{''.join(blocks)}</body></html>"
    rows = "\n".join(blocks)
    beacon = _PIXEL.format(tracker, chance.getrandbits(64)) if tracker else ""
    head = f"<!DOCTYPE html><html><head><meta charset=utf-8>{_STYLE}</head><body>{_PREHEADER.format(text[:60].strip())}"
    return f'{head}<table class="c" role="presentation" width="100%">\n{rows}\n</table>{beacon}</body></html>'


def archive(name: str) -> bytes:
    """A zip with one file of this name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(zipfile.ZipInfo(name), "x" * 400)
    return file.getvalue()


Part = tuple[str, str, bytes]  # type, name of the file, octets


def message(head: list[tuple[str, str]], text: str, markup: str, parts: list[Part], *, packed: bool = False) -> bytes:
    """text or markup may be ""; packed: all text in base64."""
    bodies = [("plain", text)] * bool(text or not markup) + [("html", markup)] * bool(markup)
    entities = [_text(kind, body, packed) for kind, body in bodies]
    body = entities[0] if len(entities) == 1 else _multipart("alternative", entities)
    if parts:
        body = _multipart("mixed", [body, *map(_attached, parts)])
    fields = "".join(f"{name}: {_encoded(value)}\r\n" for name, value in head)
    return f"{fields}MIME-Version: 1.0\r\n".encode() + body


def _encoded(value: str) -> str:
    if value.isascii():
        return value
    shown, bracket, address = value.partition(" <")
    return f"{Header(shown, 'utf-8').encode(linesep=chr(13) + chr(10))}{bracket}{address}"


def _text(kind: str, text: str, packed: bool) -> bytes:
    octets = text.replace("\n", "\r\n").encode()
    name = "7bit"
    if packed:
        name, octets = "base64", base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif not octets.isascii() or max(map(len, octets.split(b"\r\n"))) > 900:
        name, octets = "quoted-printable", quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n"
    return head.encode() + octets + b"\r\n"


def _attached(part: Part) -> bytes:
    kind, name, octets = part
    head = f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def _multipart(kind: str, entities: list[bytes]) -> bytes:
    mark = f"=_{len(entities)}{kind}{sum(map(len, entities)):x}"
    inner = b"".join(f"--{mark}\r\n".encode() + entity + b"\r\n" for entity in entities)
    return f'Content-Type: multipart/{kind}; boundary="{mark}"\r\n\r\n'.encode() + inner + f"--{mark}--\r\n".encode()


def date(now: float) -> str:
    """For a Date field."""
    return formatdate(now, localtime=False)
