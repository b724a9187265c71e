"""Which headers a test looks at: the message's, or with :mime those of its parts.

Standards: RFC 5703 4 (:mime, :anychild, :type, :subtype, :contenttype, :param).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from postroom.message.decode import decode_parameters
from postroom.message.parameters import parse_type, parse_value
from postroom.sieve.mail import Header, Section
from postroom.sieve.texts import get_all
from postroom.sieve.words import Call, Kind, TagWord

if TYPE_CHECKING:
    from postroom.sieve.run import Run

#: the headers to look at, now
Headers: TypeAlias = "Callable[[Run], Sequence[Header]]"
#: what of a field's octets is looked at
Aspect: TypeAlias = "Callable[[Run, bytes], list[str]]"

MIME: Final = (TagWord(name="mime", needs="mime"), TagWord(name="anychild", needs="mime"))
ASPECTS: Final = (
    TagWord(name="type", needs="mime", group="MIME option"),
    TagWord(name="subtype", needs="mime", group="MIME option"),
    TagWord(name="contenttype", needs="mime", group="MIME option"),
    TagWord(name="param", needs="mime", group="MIME option", value=Kind.STRINGS),
)


def headers_of(call: Call) -> Headers | None:
    """None: the message's own header, which is `run.header`."""
    if not call.has("mime"):
        for tag in ("anychild", *[aspect.name for aspect in ASPECTS]):
            if call.has(tag):
                call.fault(f":{tag} goes with :mime", "add :mime", call.place_of(tag))
        return None
    if call.has("anychild"):
        return _with_children
    return _current


def sections_of(run: Run) -> list[Section]:
    """The parts of the message, found once."""
    if run.sections is None:
        run.sections = list(run.mail.sections(run.header))
        run.spend(5 * len(run.sections))
    return run.sections


def _current(run: Run) -> Sequence[Header]:
    return (run.header if run.part is None else run.part.header,)


def _with_children(run: Run) -> Sequence[Header]:
    return [section.header for section in below(run, run.part)]


def below(run: Run, section: Section | None) -> list[Section]:
    """A part and all within it; of the message for None. Parts that were replaced have none within."""
    sections = sections_of(run)
    if section is None:
        return sections
    start = section.part.index
    found = [section]
    for each in sections[start + 1 :]:
        if each.part.depth <= section.part.depth:
            break
        found.append(each)
    return found


def aspect_of(call: Call) -> Aspect | None:
    """RFC 5703 4.1: None when the whole value is looked at."""
    if call.has("type"):
        return lambda run, raw: _words(raw, 0)
    if call.has("subtype"):
        return lambda run, raw: _words(raw, 1)
    if call.has("contenttype"):
        return lambda run, raw: _words(raw, 2)
    names = call.tag_texts("param")
    if names is None:
        return None

    def parameters(run: Run, raw: bytes) -> list[str]:
        found = decode_parameters(raw)
        return [found[name.lower()] for name in get_all(names, run) if name.lower() in found]

    return parameters


def _words(raw: bytes, which: int) -> list[str]:
    kind = parse_type(raw)
    if kind is not None:
        words = kind[0].decode("latin-1"), kind[1].decode("latin-1")
        return ["/".join(words) if which == 2 else words[which]]
    value = parse_value(raw)  # such as a Content-Disposition
    if value is None or which == 1:
        return []
    return [value[0].decode("latin-1")]
