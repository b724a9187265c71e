"""body: what stands in a message, as it came, by kind of part, or as text.

Standards: RFC 5173 4, 5, 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from postroom.message.parts import MESSAGE, MULTIPART, Part
from postroom.sieve.matching import counting, matcher
from postroom.sieve.run import PER_UNIT_SHIFT
from postroom.sieve.texts import get_all
from postroom.sieve.words import MATCH, Call, Kind, Question, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run


def _body(call: Call) -> Question:
    match, counted = matcher(call, 0, remember=False), counting(call)
    texts = _texts(call)

    def body(run: Run) -> bool:
        if counted:
            return match(run, list(texts(run)))
        # one after the other: what matches early saves the decoding of the rest
        return any(match(run, (text,)) for text in texts(run))

    return body


def _texts(call: Call) -> Callable[[Run], Iterator[str]]:
    if call.has("raw"):
        return _raw
    types = call.tag_texts("content")
    if types is None:
        return _readable

    def content(run: Run) -> Iterator[str]:
        wanted = [each.lower() for each in get_all(types, run)]
        for part in run.mail.parts().walk():
            if any(_fits(part, each) for each in wanted):
                yield from _content(run, part)

    return content


def _raw(run: Run) -> Iterator[str]:
    octets = run.mail.body(run.limits.text)
    run.spend(len(octets) >> PER_UNIT_SHIFT)
    yield octets.decode("utf-8", "surrogateescape")


def _readable(run: Run) -> Iterator[str]:
    """RFC 5173 5.3: the text parts, HTML without its marks."""
    for part in run.mail.parts().walk():
        if part.type == "text":
            yield _decoded(run, part, plain=True)


def _fits(part: Part, wanted: str) -> bool:
    """RFC 5173 5.2: a type, a type and a subtype, or "" for all."""
    if not wanted:
        return True
    if wanted.startswith("/") or wanted.endswith("/") or wanted.count("/") > 1:
        return False
    return part.content_type == wanted if "/" in wanted else part.type == wanted


def _decoded(run: Run, part: Part, *, plain: bool) -> str:
    run.spend(4 + (min(part.size, run.limits.text) >> PER_UNIT_SHIFT))
    return run.mail.text_of(part, run.limits.text, plain=plain)


def _content(run: Run, part: Part) -> Iterator[str]:
    if part.kind == MULTIPART:
        yield from _around(run, part)
    elif part.kind == MESSAGE:
        inner = run.mail.parts().message(part)
        yield run.mail.header_of(inner).decode("utf-8", "surrogateescape") if inner is not None else ""
    else:
        yield _decoded(run, part, plain=False)


def _around(run: Run, part: Part) -> Iterator[str]:
    """What stands before the first part of a multipart, and behind the last."""
    children = list(run.mail.parts().children(part))
    start, end = children[0].header_start, children[-1].end
    if part.body_start == start and end == part.end:
        return
    before = run.mail.octets(part.body_start, min(start, part.body_start + run.limits.text)).rstrip(b"\r\n")
    behind = run.mail.octets(end, min(part.end, end + run.limits.text)).lstrip(b"\r\n")
    yield before[: max(before.rfind(b"\n"), 0)].decode("utf-8", "surrogateescape")
    yield behind[behind.find(b"\n") + 1 or len(behind) :].decode("utf-8", "surrogateescape")


TESTS: Final = (
    Word(
        name="body",
        build=_body,
        usage='body :text :contains "text"',
        takes=(Kind.STRINGS,),
        needs=("body",),
        tags=(
            *MATCH,
            TagWord(name="raw", group="body transform"),
            TagWord(name="content", group="body transform", value=Kind.STRINGS),
            TagWord(name="text", group="body transform"),
        ),
    ),
)
