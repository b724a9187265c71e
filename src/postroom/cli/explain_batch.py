"""`postroom explain --batch`: checks asked for in JSON lines, answered in JSON lines, in one process without a network.

Each line has all it needs, the DNS too: {"id", "check", "dns", …}; the answer repeats `id`. So public vectors, and a
program that wants a second opinion, run thousands of checks a second.
Trust: a line may be anything. What cannot be read is answered with "error", also with `id` when that can be read, and
the next line is read. A line longer than LONGEST_LINE is passed over without being held in memory.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final

import msgspec

from postroom.mailauth import dmarc, spf
from postroom.mailauth.zone import BadZone, ZoneData, finished

#: octets; a message of 50 MiB in base64 and then some
LONGEST_LINE: Final = 96 * 1024 * 1024
#: where a line that is no JSON may still say whose answer it wants
_ID: Final = re.compile(rb'"id"\s*:\s*("(?:[^"\\\x00-\x1f]|\\.){0,200}"|-?\d{1,18})')


class BadRequest(ValueError):
    """A request without what its check needs; the text says what."""


Request = Mapping[str, Any]


def text_of(request: Request, name: str, default: str | None = None) -> str:
    """A string of the request; null is as if it were not there. Raises BadRequest."""
    value = request.get(name)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise BadRequest(f'"{name}" must be a string')
    return value


def seconds_of(request: Request) -> int:
    """`time`, or now. Raises BadRequest."""
    value = request.get("time")
    if value is None:
        return int(time.time())
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1 << 53:
        raise BadRequest('"time" must be Unix seconds')
    return int(value)


def message_of(request: Request) -> bytes:
    """`message`, decoded, with the line ends it travelled with. Raises BadRequest."""
    from postroom.mailauth.header import network_form

    try:
        return network_form(base64.b64decode("".join(text_of(request, "message").split()), validate=True))
    except (binascii.Error, ValueError) as fault:
        raise BadRequest('"message" must be the octets of a message in base64') from fault


def domain_in(value: str) -> str:
    """The domain of an address, with or without < and >; a domain is itself."""
    return value.strip().removesuffix(">").rpartition("@")[2].strip()


def _spf(request: Request, dns: ZoneData) -> dict[str, Any]:
    ip = text_of(request, "ip")
    sender = text_of(request, "mail_from", "").removeprefix("<").removesuffix(">")
    receiver = text_of(request, "receiver", "unknown")
    try:
        work = spf.check(dns, ip, text_of(request, "helo", ""), sender, receiver, seconds_of(request))
        found = finished(work)
    except ValueError as fault:
        raise BadRequest(str(fault)) from fault
    return {"result": found.result, "explanation": found.explanation, "reason": found.reason}


def _identifier(value: object, name: str) -> dmarc.Identifier:
    if not isinstance(value, Mapping):
        raise BadRequest(f'"{name}" must have "result" and "domain"')
    return dmarc.Identifier(text_of(value, "result", "none").lower(), domain_in(text_of(value, "domain", "")))


def _dmarc(request: Request, dns: ZoneData) -> dict[str, Any]:
    by_spf = request.get("spf")
    signatures = request.get("dkim")
    if signatures is None:
        signatures = []
    if not isinstance(signatures, list):
        raise BadRequest('"dkim" must be a list')
    found = finished(
        dmarc.evaluate(
            dns,
            domain_in(text_of(request, "from")),
            None if by_spf is None else _identifier(by_spf, "spf"),
            [_identifier(one, "dkim") for one in signatures],
        )
    )
    return {"result": found.result, "policy": found.policy, "reason": found.reason}


def _dkim(request: Request, dns: ZoneData) -> dict[str, Any]:
    from postroom.mailauth.dkim import DkimVerifier
    from postroom.mailauth.header import split_message

    header, body = split_message(message_of(request))
    verifier = DkimVerifier(header)
    verifier.body(body)
    found = finished(verifier.results(dns, seconds_of(request)))
    # a message without signatures has no results (RFC 8601 2.7.1 calls that "none"); "result" is what RFC 6376 says,
    # "assessed" what we make of it: "policy" where a signature holds and leaves the body or From open
    return {
        "results": [
            {
                "result": "pass" if one.verified else one.result,
                "assessed": one.result,
                "domain": one.domain,
                "selector": one.selector,
                "reason": one.reason,
            }
            for one in found
        ]
    }


def _arc(request: Request, dns: ZoneData) -> dict[str, Any]:
    from postroom.mailauth.arc import ArcVerifier
    from postroom.mailauth.header import split_message

    header, body = split_message(message_of(request))
    verifier = ArcVerifier(header)
    verifier.body(body)
    found = finished(verifier.result(dns, seconds_of(request)))
    return {"result": found.result, "reason": found.reason}


CHECKS: Final[Mapping[str, Callable[[Request, ZoneData], dict[str, Any]]]] = {
    "spf": _spf,
    "dkim": _dkim,
    "arc": _arc,
    "dmarc": _dmarc,
}


def _decoded(line: bytes) -> Any:
    """JSON; the strict and fast reader first, then one that takes the lone surrogates some programs write."""
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return json.loads(line)


def _encoded(reply: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(reply)
    except UnicodeEncodeError:
        return json.dumps(reply).encode("ascii")


def _id_of(line: bytes) -> dict[str, Any]:
    found = _ID.search(line[:4096])
    try:
        return {"id": json.loads(found[1])} if found else {}
    except ValueError:
        return {}


def answer(line: bytes) -> dict[str, Any]:
    """The answer to one line; it never raises."""
    try:
        request = _decoded(line)
    except (ValueError, RecursionError) as fault:
        return {**_id_of(line), "error": f"not JSON: {fault}"}
    if not isinstance(request, dict):
        return {"error": "a request is a JSON object"}
    told = {"id": request["id"]} if "id" in request else {}
    kind = request.get("check")
    check = CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        return {**told, "error": "unsupported"}
    try:
        return {**told, **check(request, ZoneData(request.get("dns") or {}))}
    except (BadRequest, BadZone) as fault:
        return {**told, "error": str(fault)}
    except Exception as fault:  # a defect of ours must not cost the other answers
        return {**told, "error": f"internal: {type(fault).__name__}: {fault}"}


def _lines(source: BinaryIO, longest: int) -> Iterator[bytes | None]:
    """The lines; None for one that is too long."""
    while line := source.readline(longest + 1):
        if len(line) <= longest:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = source.readline(longest + 1)
        yield None


def run_batch(source: BinaryIO, target: BinaryIO, longest: int = LONGEST_LINE) -> None:
    """Answer every line of `source` that is not empty, each at once."""
    for line in _lines(source, longest):
        if line is None:
            reply: dict[str, Any] = {"error": f"a line has at most {longest} octets"}
        elif line.isspace():
            continue
        else:
            reply = answer(line)
        target.write(_encoded(reply) + b"\n")
        target.flush()
