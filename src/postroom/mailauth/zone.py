"""Zone data that is given, instead of the DNS: for `postroom explain`, for tests and for public vectors.

The form is JSON: `{name: {type: [record, ...]}}`. TXT records are strings or lists of character-strings, MX records are
`[preference, host]`, SRV records `[priority, weight, port, host]`, TLSA records `[usage, selector, matching type, hex]`
and the others strings. "TIMEOUT" or "SERVFAIL" instead of a list is a question that gets no answer; the type "*" stands
for all types that the name does not list; types that nobody here asks for (SPF, HINFO) are passed over. A name that is
not there does not exist (NXDOMAIN), also when names below it are there: the data says what each question gets, it is no
zone whose empty non-terminals count (RFC 8020 2 would have it otherwise). CNAMEs are followed; a chain that does not
end is no answer.
Ownership: immutable once made; `lookup` never suspends, so a coroutine over it can be run by hand (see `finished`).
Trust: the data may be anything; what has not this form raises BadZone when the object is made, never later.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

T = TypeVar("T")

#: links of a chain of CNAMEs; resolvers stop between 8 and 16
LONGEST_CHAIN: Final = 10
_FAULTS: Final = {"TIMEOUT": "no answer in time", "SERVFAIL": "the server failed"}
_OTHERS: Final = "*"
_KNOWN: Final = frozenset([*RecordType, _OTHERS])


class BadZone(ValueError):
    """The data has not the form; the text says where."""


def _plain(name: str) -> str:
    return name.removesuffix(".").lower()


def _text(value: object, where: str) -> bytes:
    strings = value if isinstance(value, list) else [value]
    try:
        # an octet that is no UTF-8 may be written as Python does it (PEP 383)
        pieces = [one.encode("utf-8", "surrogateescape") for one in strings if isinstance(one, str)]
    except UnicodeEncodeError:
        raise BadZone(f"{where}: a TXT record has a character that is none") from None
    if len(pieces) < len(strings):
        raise BadZone(f"{where}: a TXT record is a string or a list of strings")
    return b"".join(pieces)


def _mx(value: object, where: str) -> tuple[int, str]:
    match value:
        case [int(preference), str(host)]:
            return preference, _plain(host)
    raise BadZone(f"{where}: an MX record is [preference, host]")


def _srv(value: object, where: str) -> tuple[int, int, int, str]:
    match value:
        case [int(priority), int(weight), int(port), str(host)]:
            return priority, weight, port, _plain(host)
    raise BadZone(f"{where}: an SRV record is [priority, weight, port, host]")


def _tlsa(value: object, where: str) -> tuple[int, int, int, bytes]:
    try:
        match value:
            case [int(usage), int(selector), int(matching), str(data)]:
                return usage, selector, matching, bytes.fromhex(data)
    except ValueError:
        pass
    raise BadZone(f"{where}: a TLSA record is [usage, selector, matching type, hex]")


def _record(kind: str, value: object, where: str) -> Any:
    if kind == RecordType.TXT:
        return _text(value, where)
    if kind == RecordType.MX:
        return _mx(value, where)
    if kind == RecordType.SRV:
        return _srv(value, where)
    if kind == RecordType.TLSA:
        return _tlsa(value, where)
    if not isinstance(value, str):
        raise BadZone(f"{where}: {kind} records are strings")
    return value if kind in {RecordType.A, RecordType.AAAA} else _plain(value)


def _records(kind: str, value: object, where: str) -> tuple[Any, ...] | str:
    """The records of one type, or the name of a fault."""
    if value is None:
        return ()
    if isinstance(value, str):
        if value in _FAULTS:
            return value
        value = [value]
    elif kind == RecordType.MX and isinstance(value, list) and len(value) == 2 and isinstance(value[0], int):
        value = [value]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and value[0] in _FAULTS:
        return value[0]
    if not isinstance(value, list) or (kind == _OTHERS and value):
        raise BadZone(f'{where}: a list of records, "TIMEOUT" or "SERVFAIL" is needed')
    return tuple(_record(kind, one, where) for one in value)


class ZoneData:
    """A Dns that knows only what it was given; everything is as secure as the caller says."""

    __slots__ = ("_names", "_secure")

    def __init__(self, data: Mapping[str, Any], *, secure: bool = False) -> None:
        """Read the data. Raises BadZone."""
        self._secure = secure
        self._names: dict[str, dict[str, tuple[Any, ...] | str]] = {}
        if not isinstance(data, Mapping):
            raise BadZone("zone data is an object: names with their records")
        for name, types in data.items():
            if isinstance(types, str):
                types = {_OTHERS: types}
            if not isinstance(types, Mapping):
                raise BadZone(f"{name}: an object with record types is needed")
            known = self._names.setdefault(_plain(name), {})
            for kind, value in types.items():
                if kind.upper() not in _KNOWN:  # such as SPF (RFC 7208 3.1): nobody asks for it
                    continue
                records = _records(kind.upper(), value, f"{name} {kind}")
                before = known.get(kind.upper())
                if isinstance(before, tuple) and isinstance(records, tuple):  # the same name in another case
                    records = (*before, *records)
                known[kind.upper()] = records

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        """See values.dns.Dns. Raises NoSuchName, DnsUnavailable."""
        asked = name = _plain(name)
        for _ in range(LONGEST_CHAIN):
            types = self._names.get(name)
            if types is None:
                raise NoSuchName(f"{name} does not exist")
            found = types.get(kind)
            alias = types.get(RecordType.CNAME)
            if not found and alias and isinstance(alias, tuple) and kind != RecordType.CNAME:
                name = alias[0]
                continue
            if found is None:
                found = types.get(_OTHERS, ())
            if isinstance(found, str):
                raise DnsUnavailable(_FAULTS[found])
            return Lookup(found, self._secure)
        raise DnsUnavailable(f"the aliases (CNAME) of {asked} do not end")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that asks only ZoneData and so never waits. Raises what it raises."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("the coroutine waits for something else than zone data")
