"""addheader, deleteheader.

Standards: RFC 5293.
On failure: ScriptError for a name that cannot be; a field that must not be touched is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.message.compose import Unsuitable, unstructured
from postroom.sieve.faults import ScriptError
from postroom.sieve.language.headers import FIELD_NAME, check_names, index_of
from postroom.sieve.mail import text_of
from postroom.sieve.matching import counting, matcher
from postroom.sieve.texts import get
from postroom.sieve.words import MATCH, Call, Kind, Step, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

#: RFC 5293 6: these stay, whatever a script wants
_PROTECTED: Final = frozenset(("received", "auto-submitted", "return-path", "delivered-to"))
#: what a script must not claim: these are ours
_NOT_ADDED: Final = frozenset(("received", "return-path", "delivered-to"))


def _name(text: str) -> str:
    if not FIELD_NAME.fullmatch(text):
        raise ScriptError(f"{text[:60]!r} cannot be the name of a field")
    return text


def _addheader(call: Call) -> Step:
    check_names(call, 0)
    name, value, last = call.text(0), call.text(1), call.has("last")

    def addheader(run: Run) -> None:
        field = _name(get(name, run))
        if field.lower() in _NOT_ADDED:
            return
        text = " ".join(get(value, run).split())
        try:
            octets = unstructured(field, text).encode() + b"\r\n"
        except Unsuitable as fault:
            raise ScriptError(f"the value of {field} cannot stand in a header: {fault}") from None
        run.added += len(octets)
        if run.added > run.limits.header:
            raise ScriptError(f"the script adds more than {run.limits.header} octets to the header")
        run.header.insert(octets, last=last)

    return addheader


def _deleteheader(call: Call) -> Step:
    check_names(call, 0)
    name, index = call.text(0), index_of(call)
    match = matcher(call, 1) if call.given(1) else None
    counted = counting(call)

    def deleteheader(run: Run) -> None:
        field = _name(get(name, run)).lower()
        if field in _PROTECTED:
            return
        fields = run.header.fields()
        places = [place for place, (each, _) in enumerate(fields) if each == field]
        run.spend(len(fields))
        if index is not None:
            at = index - 1 if index > 0 else len(places) + index
            places = places[at : at + 1] if 0 <= at < len(places) else []
        if match is not None:
            values = {place: _value(fields[place][1]) for place in places}
            if counted:
                places = places if match(run, list(values.values())) else []
            else:
                places = [place for place in places if match(run, (values[place],))]
        if places:
            gone = set(places)
            run.header.put([each for place, each in enumerate(fields) if place not in gone])

    return deleteheader


def _value(octets: bytes) -> str:
    raw = octets.partition(b":")[2].replace(b"\r\n", b"").replace(b"\n", b"")
    return text_of(raw.strip())


COMMANDS: Final = (
    Word(
        name="addheader",
        build=_addheader,
        usage='addheader [:last] "X-Name" "value";',
        takes=(Kind.STRING, Kind.STRING),
        needs=("editheader",),
        tags=(TagWord(name="last"),),
    ),
    Word(
        name="deleteheader",
        build=_deleteheader,
        usage='deleteheader [:index 1 [:last]] "X-Name" ["value"];',
        takes=(Kind.STRING, Kind.STRINGS),
        trailing=1,
        needs=("editheader",),
        tags=(*MATCH, TagWord(name="index", value=Kind.NUMBER), TagWord(name="last")),
    ),
)
