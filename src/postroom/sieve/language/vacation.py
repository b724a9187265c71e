"""vacation: answer that nobody is reading mail now.

Standards: RFC 5230 4, RFC 6131 2 (:seconds), RFC 8580 3 (:fcc).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.message.decode import parse_addresses
from postroom.sieve.actions import Target, Vacation
from postroom.sieve.faults import ScriptError
from postroom.sieve.language.filing import FLAGS, TARGET, resolve, target_of
from postroom.sieve.language.flags import flags_of
from postroom.sieve.syntax import Number, Strings
from postroom.sieve.texts import Text, get, get_all
from postroom.sieve.words import Call, Kind, Step, TagWord, Word
from postroom.values.address import Address, BadAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from postroom.sieve.run import Run

_DAY: Final = 86_400
#: RFC 5230 4.1: days when the script gives none, at least, and at most; RFC 6131 2
_USUAL_DAYS, _LEAST_DAYS, _MOST_DAYS = 7, 1, 60
_MOST_SECONDS: Final = 60 * _DAY
#: RFC 8580 3: how a copy of what is sent is filed
FCC: Final = (TagWord(name="fcc", needs="fcc", value=Kind.STRING), FLAGS, *TARGET)


def fcc_of(call: Call) -> Callable[[Run], tuple[Target | None, tuple[str, ...]]]:
    """Where a copy goes, and with which flags."""
    name = call.tag_text("fcc")
    if name is None:
        for tag in ("flags", "create", "specialuse", "mailboxid"):
            if call.has(tag):
                call.fault(f":{tag} goes with :fcc", 'add :fcc "mailbox"', call.place_of(tag))
        return lambda run: (None, ())
    target, flags = target_of(call, name), call.tag_texts("flags") or ()

    def copy(run: Run) -> tuple[Target | None, tuple[str, ...]]:
        return resolve(target, run), flags_of(get_all(flags, run))

    return copy


def _seconds(call: Call) -> int:
    days, seconds = call.tag_number("days"), call.tag_number("seconds")
    if seconds is not None:
        return min(seconds, _MOST_SECONDS)
    return min(max(_USUAL_DAYS if days is None else days, _LEAST_DAYS), _MOST_DAYS) * _DAY


def _signature(call: Call) -> str:
    """RFC 5230 4.2: what makes two answers the same, as the script has it, before variables."""
    parts: list[str] = []
    for tag in ("subject", "from", "mime"):
        value = call.values.get(tag)
        parts.append(value.items[0] if isinstance(value, Strings) else "yes" if call.has(tag) else "")
    reason = call.arguments[0]
    parts.append("" if reason is None or isinstance(reason, Number) else getattr(reason, "items", ("",))[0])
    return "".join(f"{len(part)}:{part}" for part in parts)


def _check_mime(call: Call, reason: Text) -> None:
    if call.has("mime") and isinstance(reason, str):
        header = reason.partition("\r\n\r\n")[0]
        if not header.isascii():
            call.fault("the MIME header of the reason is not ASCII", "use encoded words", call.place(0))


def _check_from(call: Call, sender: Text | None) -> None:
    """RFC 5230 4.3: a list of mailboxes."""
    if isinstance(sender, str):
        found = parse_addresses(sender.encode("utf-8", "replace"))
        if not found or not all(_can_be(each.address) for each in found):
            call.fault(f'"{sender[:60]}" is no address', "such as Ann <ann@example.org>", call.place_of("from"))


def _can_be(address: str) -> bool:
    try:
        Address.parse(address)
    except BadAddress:
        return False
    return True


def _vacation(call: Call) -> Step:
    reason, subject, sender = call.text(0), call.tag_text("subject"), call.tag_text("from")
    addresses, handle = call.tag_texts("addresses") or (), call.tag_text("handle")
    seconds, mime, copy = _seconds(call), call.has("mime"), fcc_of(call)
    signature = _signature(call)
    _check_mime(call, reason)
    _check_from(call, sender)

    def vacation(run: Run) -> None:
        run.suits(("vacation",))
        if any(isinstance(action, Vacation) for action in run.actions):
            raise ScriptError("the script answers twice")
        fcc, fcc_flags = copy(run)
        run.act(
            Vacation(
                reason=get(reason, run),
                seconds=seconds,
                subject="" if subject is None else get(subject, run),
                sender="" if sender is None else get(sender, run),
                addresses=tuple(get_all(addresses, run)),
                mime=mime,
                handle=signature if handle is None else f"handle:{get(handle, run)}",
                fcc=fcc,
                fcc_flags=fcc_flags,
                form=run.form(),
            )
        )

    return vacation


COMMANDS: Final = (
    Word(
        name="vacation",
        build=_vacation,
        usage='vacation [:days 7] [:subject "…"] [:addresses ["…"]] "reason";',
        takes=(Kind.STRING,),
        needs=("vacation",),
        tags=(
            TagWord(name="days", value=Kind.NUMBER, group="period"),
            TagWord(name="seconds", value=Kind.NUMBER, group="period", needs="vacation-seconds"),
            TagWord(name="subject", value=Kind.STRING),
            TagWord(name="from", value=Kind.STRING),
            TagWord(name="addresses", value=Kind.STRINGS),
            TagWord(name="mime"),
            TagWord(name="handle", value=Kind.STRING),
            *FCC,
        ),
    ),
)
