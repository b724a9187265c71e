"""A message made fit for the server at hand: 8-bit text where it takes none, lines that are too long.

Owns: the decision. What our own people send is converted when it must be, and signed anew. Mail of others
whose octets are signed (DKIM, multipart/signed) is sent back rather than converted where the server takes no 8-bit
text (RFC 6152 3), and sent as it is where only its lines are too long: nearly every server takes them, and a broken
signature would do more harm.
Standards: RFC 6152 3, RFC 5321 4.5.3.1.6, RFC 3463 3.7 (X.6.3: conversion required but not supported).
On failure: Misfit with the reply for the recipients; OSError when the content cannot be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from postroom.message.downgrade import LONGEST_LINE, CannotConvert, convert, has_long_lines, is_signed
from postroom.store.api import Entry
from postroom.values.content import Content
from postroom.wire.smtp.client_types import Reply

T = TypeVar("T")

_CHUNK = 256 * 1024
#: octets that are converted on the event loop; larger messages go to a thread
_AT_ONCE = 64 * 1024


class Misfit(Exception):
    """The server cannot take the message, and it cannot be converted. reply: for its recipients."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        text = f"The server does not take 8-bit text (8BITMIME), and the message cannot be converted: {why}"
        self.reply = Reply(554, "5.6.3", text, local=True)


async def fit(entry: Entry, offers: Mapping[str, str]) -> tuple[Content, str]:
    """The content to send, and its BODY. Raises Misfit, OSError."""
    content, takes = entry.content, "8BITMIME" in offers
    body = _body(entry, takes)
    narrow = body == "8BITMIME" and not takes
    foreign = not entry.account
    # what our own people hand in keeps to 998 octets (RFC 6409), and so do our reports
    long = foreign and entry.sender != "" and await _run(content, lambda: _has_long_lines(content))
    if not narrow and not long:
        return content, body
    try:
        return await _run(content, lambda: _converted(content, foreign, eight_bit=takes))
    except CannotConvert as fault:
        if narrow and not (entry.smtputf8 and "SMTPUTF8" not in offers):  # that is told with a code of its own
            raise Misfit(str(fault)) from None
        return content, body


async def _run(content: Content, work: Callable[[], T]) -> T:
    return work() if content.size <= _AT_ONCE else await asyncio.to_thread(work)


def _converted(content: Content, foreign: bool, *, eight_bit: bool) -> tuple[Content, str]:
    data = content.read()
    if foreign and is_signed(data):
        raise CannotConvert("it is signed (DKIM)")
    done = convert(data, eight_bit=eight_bit)
    return Content.of(done), "7BIT" if done.isascii() else "8BITMIME"


def _body(entry: Entry, offered: bool) -> str:
    """7BIT or 8BITMIME: what the content is, looked at only where it matters."""
    if offered and (entry.body != "7BIT" or entry.content.path):
        return "8BITMIME"
    return "7BIT" if _is_ascii(entry.content) else "8BITMIME"


def _is_ascii(content: Content) -> bool:
    if not content.path:
        return content.data.isascii()
    return all(content.read(start, start + _CHUNK).isascii() for start in range(0, content.size, _CHUNK))


def _has_long_lines(content: Content) -> bool:
    if not content.path:
        return has_long_lines(content.data)
    step = _CHUNK - LONGEST_LINE - 2  # a long line may lie across two chunks
    return any(has_long_lines(content.read(start, start + _CHUNK)) for start in range(0, content.size, step))


def header_is_ascii(content: Content) -> bool:
    """True when the message's header can go to a server without SMTPUTF8."""
    for start in range(0, content.size, _CHUNK):
        block = content.read(max(start - 3, 0), start + _CHUNK)
        end = block.find(b"\r\n\r\n")
        if not block[: end if end >= 0 else len(block)].isascii():
            return False
        if end >= 0:
            return True
    return True
