"""header, address, exists, envelope.

Standards: RFC 5228 5.1, 5.4, 5.5, 5.7; RFC 5233 4 (:user, :detail); RFC 5260 6 (:index); RFC 5703 4 (:mime).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from postroom.message.decode import NamedAddress
from postroom.sieve.faults import ScriptError
from postroom.sieve.language.mime import ASPECTS, MIME, Aspect, Headers, aspect_of, headers_of
from postroom.sieve.mail import Header, addresses_in
from postroom.sieve.matching import Matcher, counting, matcher
from postroom.sieve.texts import Text, Texts, constant, get_all
from postroom.sieve.words import ADDRESS_PART, INDEX, MATCH, Call, Kind, Question, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run
    from postroom.sieve.world import Environment

#: RFC 5322 2.2  ftext = %d33-57 / %d59-126
FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,998}")
#: RFC 5228 5.1: fields that hold addresses
ADDRESS_FIELDS: Final = frozenset(
    (
        *("from", "to", "cc", "bcc", "sender", "reply-to"),
        *(f"resent-{name}" for name in ("from", "to", "cc", "bcc", "sender", "reply-to")),
        *("return-path", "delivered-to", "envelope-to", "x-envelope-to", "x-original-to", "apparently-to"),
        *("errors-to", "mail-followup-to", "mail-reply-to", "disposition-notification-to", "return-receipt-to"),
        *("approved", "x-forwarded-to", "x-envelope-from", "x-original-sender", "for-approval", "original-recipient"),
        *("list-post", "abuse-reports-to", "x-apparently-to", "newsgroups-to", "final-recipient", "x-sender"),
    )
)

#: values of the fields of a name in a header
_Values = Callable[["Run", Header, str], Sequence[str]]


def check_names(call: Call, number: int) -> None:
    """Tell of names that no field can have."""
    for place, name in enumerate(call.texts(number)):
        if isinstance(name, str) and not FIELD_NAME.fullmatch(name):
            advice = "without the colon" if FIELD_NAME.fullmatch(name.rstrip(": ")) else ""
            call.fault(f'"{name[:60]}" cannot be the name of a field', advice, call.place(number, place))


def index_of(call: Call) -> int | None:
    """RFC 5260 6: which of the fields counts, from 1, or from -1 backwards; None: all."""
    index = call.tag_number("index")
    if index is None:
        if call.has("last"):
            call.fault(":last goes with :index", "add :index 1", call.place_of("last"))
        return None
    if index == 0:
        call.fault(":index counts from 1", at=call.place_of("index"))
    return -index if call.has("last") else index


def chosen(found: Sequence[str], index: int) -> Sequence[str]:
    """The one the index says, if there is one."""
    place = index - 1 if index > 0 else len(found) + index
    return found[place : place + 1] if 0 <= place < len(found) else ()


def _collect(headers: Headers | None, names: Texts, values: _Values) -> Callable[[Run], Sequence[str]]:
    """What the fields of these names hold, in the order of the names."""
    fixed = constant(names)
    if headers is None and fixed is not None:
        if len(fixed) == 1:
            (only,) = fixed
            return lambda run: values(run, run.header, only)
        return lambda run: [text for name in fixed for text in values(run, run.header, name)]

    def several(run: Run) -> Sequence[str]:
        looked_at = (run.header,) if headers is None else headers(run)
        now = get_all(names, run)
        run.spend(len(looked_at) * len(now))
        return [text for header in looked_at for name in now for text in values(run, header, name)]

    return several


def _plain(_run: Run, header: Header, name: str) -> Sequence[str]:
    return header.values(name.lower())


def _one_field(name: str, match: Matcher, *, counted: bool) -> Question:
    """What most tests are: one field, which most mail does not have."""

    def one_field(run: Run) -> bool:
        values = run.header.values(name)
        return match(run, values) if values or counted else False

    return one_field


def _with_aspect(aspect: Aspect) -> _Values:
    return lambda run, header, name: [text for raw in header.raw(name.lower()) for text in aspect(run, raw)]


def _header(call: Call) -> Question:
    check_names(call, 0)
    aspect, headers, names = aspect_of(call), headers_of(call), call.texts(0)
    values: _Values = _plain if aspect is None else _with_aspect(aspect)
    collect = _collect(headers, names, values)
    match, index = matcher(call, 1), index_of(call)
    if index is None and aspect is None and headers is None and len(names) == 1 and isinstance(names[0], str):
        return _one_field(names[0].lower(), match, counted=counting(call))
    if index is None:
        return lambda run: match(run, collect(run))
    return lambda run: match(run, chosen(collect(run), index))


# addresses


def _all(address: NamedAddress, _env: Environment) -> str | None:
    return address.address


def _local(address: NamedAddress, _env: Environment) -> str | None:
    return address.local if address.domain else None


def _domain(address: NamedAddress, _env: Environment) -> str | None:
    return address.domain or None


def _cut(local: str, env: Environment) -> int:
    """Where the detail's separator stands, the length of all when there is none.

    The recipient's own name may have a separator in it; of other names the first separator counts.
    """
    own, size = env.name, len(env.name)
    if own and local[:size].lower() == own.lower() and (size == len(local) or local[size] in env.separators):
        return size
    return next((place for place, char in enumerate(local) if char in env.separators), len(local))


def _user(address: NamedAddress, env: Environment) -> str | None:
    """RFC 5233 4: what stands before the separator, all of it when there is none."""
    return address.local[: _cut(address.local, env)] if address.domain else None


def _detail(address: NamedAddress, env: Environment) -> str | None:
    """RFC 5233 4: nothing at all when there is no separator."""
    place = _cut(address.local, env)
    return address.local[place + 1 :] if place < len(address.local) and address.domain else None


_Part = Callable[[NamedAddress, "Environment"], "str | None"]
_PARTS: Final[dict[str, _Part]] = {"localpart": _local, "domain": _domain, "user": _user, "detail": _detail}


def part_of(call: Call) -> _Part:
    """RFC 5228 2.7.4: the part of an address that is looked at. RFC 5231 4.2: addresses count, whatever they have."""
    if counting(call):
        return _all
    return next((part for name, part in _PARTS.items() if call.has(name)), _all)


def parts_in(addresses: Sequence[NamedAddress], part: _Part, env: Environment) -> list[str]:
    """The parts of those addresses that have it."""
    return [text for address in addresses if (text := part(address, env)) is not None]


def _check_address_fields(call: Call) -> None:
    check_names(call, 0)
    for place, name in enumerate(call.texts(0)):
        if isinstance(name, str) and name.lower() not in ADDRESS_FIELDS and FIELD_NAME.fullmatch(name):
            call.fault(f'the field "{name[:60]}" holds no addresses', "the test header reads it", call.place(0, place))


def _address(call: Call) -> Question:
    _check_address_fields(call)
    part, index = part_of(call), index_of(call)
    headers, match = headers_of(call), matcher(call, 1)
    if index is None:

        def values(run: Run, header: Header, name: str) -> Sequence[str]:
            key = name, part
            found = header.parts.get(key)
            if found is None:
                known = header.addresses(name.lower()) if name.lower() in ADDRESS_FIELDS else ()
                found = header.parts[key] = parts_in(known, part, run.env)
            return found

        collect = _collect(headers, call.texts(0), values)
        return lambda run: match(run, collect(run))

    names = call.texts(0)

    def one_field(run: Run) -> bool:
        """RFC 5260 6: fields are counted, not addresses."""
        looked_at = (run.header,) if headers is None else headers(run)
        fields = [
            raw
            for header in looked_at
            for name in get_all(names, run)
            if name.lower() in ADDRESS_FIELDS
            for raw in header.raw(name.lower())
        ]
        place = index - 1 if index > 0 else len(fields) + index
        if not 0 <= place < len(fields):
            return match(run, ())
        return match(run, parts_in(addresses_in(fields[place]), part, run.env))

    return one_field


def _exists(call: Call) -> Question:
    """RFC 5228 5.5: true when there is a field of each name."""
    check_names(call, 0)
    names, headers = call.texts(0), headers_of(call)

    def exists(run: Run) -> bool:
        looked_at = (run.header,) if headers is None else headers(run)
        return all(any(header.has(name.lower()) for header in looked_at) for name in get_all(names, run))

    return exists


# the envelope

_ENVELOPE: Final = ("from", "to")


def _check_envelope(call: Call, parts: Sequence[Text]) -> None:
    for place, part in enumerate(parts):
        if isinstance(part, str) and part.lower() not in _ENVELOPE:
            call.fault(f'the envelope has no part "{part[:40]}"', '"from" or "to"', call.place(0, place))


def _envelope(call: Call) -> Question:
    parts = call.texts(0)
    _check_envelope(call, parts)
    part, counted, match = part_of(call), counting(call), matcher(call, 1)

    def envelope(run: Run) -> bool:
        if run.env.imap:  # RFC 6785 4.6
            raise ScriptError("there is no envelope when something is done by IMAP")
        found: list[str] = []
        for name in get_all(parts, run):
            address = {"from": run.env.sender, "to": run.env.recipient}.get(name.lower())
            if address:
                local, _, domain = address.rpartition("@")
                found += parts_in((NamedAddress("", local or domain, domain if local else ""),), part, run.env)
            elif address is not None and not counted:
                found.append("")  # RFC 5228 5.4: the null path is empty whichever part is asked for
        return match(run, found)

    return envelope


TESTS: Final = (
    Word(
        name="header",
        build=_header,
        usage='header :contains "subject" "text"',
        takes=(Kind.STRINGS, Kind.STRINGS),
        tags=(*MATCH, *INDEX, *MIME, *ASPECTS),
    ),
    Word(
        name="address",
        build=_address,
        usage='address :domain "from" "example.org"',
        takes=(Kind.STRINGS, Kind.STRINGS),
        tags=(*MATCH, *ADDRESS_PART, *INDEX, *MIME),
    ),
    Word(name="exists", build=_exists, usage='exists "list-id"', takes=(Kind.STRINGS,), tags=MIME),
    Word(
        name="envelope",
        build=_envelope,
        usage='envelope "from" "ann@example.org"',
        takes=(Kind.STRINGS, Kind.STRINGS),
        tags=(*MATCH, *ADDRESS_PART),
        needs=("envelope",),
    ),
)
