"""notify, valid_notify_method, notify_method_capability, and set :encodeurl.

Standards: RFC 5435 3 to 6, RFC 5436 2, RFC 8580 3 (:fcc).
On failure: ScriptError for a method that is not known or not valid (RFC 5435 3.2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postroom.sieve.actions import Notify
from postroom.sieve.faults import ScriptError
from postroom.sieve.language.vacation import FCC, fcc_of
from postroom.sieve.mailto import BadMailto, parse_mailto
from postroom.sieve.matching import matcher
from postroom.sieve.texts import get, get_all
from postroom.sieve.words import MATCH, Call, Kind, Question, Step, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

#: RFC 5435 3.5  optionname "=" value
_OPTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*=[^\x00\r\n]*")


def _notify(call: Call) -> Step:
    method, message, sender = call.text(0), call.tag_text("message"), call.tag_text("from")
    importance, options = call.tag_text("importance") or "2", call.tag_texts("options") or ()
    if isinstance(importance, str) and importance not in ("1", "2", "3"):
        call.fault(f'"{importance[:20]}" is no importance', '"1", "2" or "3"', call.place_of("importance"))
    for option in options:
        if isinstance(option, str) and not _OPTION.fullmatch(option):
            call.fault(f'"{option[:40]}" is no option', '"name=value"', call.place_of("options"))
    copy = fcc_of(call)

    def notify(run: Run) -> None:
        uri = get(method, run)
        try:
            parse_mailto(uri)
        except BadMailto as fault:
            raise ScriptError(str(fault)) from None
        fcc, fcc_flags = copy(run)
        run.act(
            Notify(
                method=uri,
                message="" if message is None else get(message, run),
                sender="" if sender is None else get(sender, run),
                importance=get(importance, run),
                options=tuple(get_all(options, run)),
                fcc=fcc,
                fcc_flags=fcc_flags,
                form=run.form(),
            )
        )

    return notify


def _valid(uri: str) -> bool:
    try:
        parse_mailto(uri)
    except BadMailto:
        return False
    return True


def _valid_notify_method(call: Call) -> Question:
    uris = call.texts(0)
    return lambda run: all(_valid(uri) for uri in get_all(uris, run))


def _notify_method_capability(call: Call) -> Question:
    """RFC 5436 2.2: nobody knows whether a reader of mail is there."""
    uri, capability = call.text(0), call.text(1)
    match = matcher(call, 2)

    def notify_method_capability(run: Run) -> bool:
        return _valid(get(uri, run)) and get(capability, run).lower() == "online" and match(run, ("maybe",))

    return notify_method_capability


COMMANDS: Final = (
    Word(
        name="notify",
        build=_notify,
        usage='notify [:message "…"] "mailto:ann@example.org";',
        takes=(Kind.STRING,),
        needs=("enotify",),
        tags=(
            TagWord(name="from", value=Kind.STRING),
            TagWord(name="importance", value=Kind.STRING),
            TagWord(name="options", value=Kind.STRINGS),
            TagWord(name="message", value=Kind.STRING),
            *FCC,
        ),
    ),
)
TESTS: Final = (
    Word(
        name="valid_notify_method",
        build=_valid_notify_method,
        usage='valid_notify_method "mailto:ann@example.org"',
        takes=(Kind.STRINGS,),
        needs=("enotify",),
    ),
    Word(
        name="notify_method_capability",
        build=_notify_method_capability,
        usage='notify_method_capability "mailto:ann@example.org" "online" "yes"',
        takes=(Kind.STRING, Kind.STRING, Kind.STRINGS),
        needs=("enotify",),
        tags=MATCH,
    ),
)
