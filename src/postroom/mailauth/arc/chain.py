"""The ARC sets of a message: collected, read and checked for their structure, before any key is asked for.

Standards: RFC 8617 4.1, 4.2 and 5.2 steps 1 to 3.
On failure: BrokenChain with the reason in plain words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postroom.mailauth.dkim.signature import (
    BadSignature,
    Signature,
    algorithm_value,
    name_value,
    number_tag,
    octets_value,
    read_signature,
    require,
)
from postroom.mailauth.header import HeaderFields
from postroom.mailauth.tags import BadTags, parse_tags

RESULTS = b"arc-authentication-results"
SIGNATURE = b"arc-message-signature"
SEAL = b"arc-seal"

#: RFC 8617 4.2.1
MAX_SETS = 50
#: ARC fields in a message beyond which nothing is read
_MAX_FIELDS = 3 * MAX_SETS + 3

_INSTANCE = re.compile(rb"[1-9][0-9]?")
_ANY_INSTANCE = re.compile(rb"[:;][ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,9})")
_RESULTS_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]+)[ \t\r\n]*;")


class BrokenChain(ValueError):
    """ARC fields that make no chain; the text says why. sealed_failure: the newest seal itself says cv=fail."""

    def __init__(self, reason: str, sealed_failure: bool = False) -> None:
        super().__init__(reason)
        self.sealed_failure = sealed_failure


@dataclass(frozen=True, slots=True)
class Seal:
    """What an ARC-Seal claims. status: none, pass or fail (cv=)."""

    status: str
    algorithm: str
    kind: str
    value: bytes
    domain: str
    selector: str
    signed_at: int | None


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One set: the places of its three fields in the header, what they say, and the text of its results."""

    instance: int
    results_place: int
    signature_place: int
    seal_place: int
    signature: Signature
    seal: Seal
    results: bytes


def _instance(tags: dict[str, bytes], name: str) -> int:
    text = tags.get("i", b"")
    if not _INSTANCE.fullmatch(text) or int(text) > MAX_SETS:
        raise BrokenChain(f"an {name} has no instance number (i=) from 1 to {MAX_SETS}")
    return int(text)


def _tagged(fields: HeaderFields, name: bytes, shown: str) -> dict[int, tuple[int, dict[str, bytes]]]:
    """Fields of one name by instance: place and tags."""
    found: dict[int, tuple[int, dict[str, bytes]]] = {}
    for place in fields.at(name):
        try:
            tags = parse_tags(fields.value(place))
        except BadTags as fault:
            raise BrokenChain(f"an {shown} is malformed: {fault}") from fault
        instance = _instance(tags, shown)
        if instance in found:
            raise BrokenChain(f"there are two {shown} fields with i={instance}")
        found[instance] = place, tags
    return found


def _results(fields: HeaderFields) -> dict[int, tuple[int, bytes]]:
    """The ARC-Authentication-Results by instance: place and what follows the instance."""
    found: dict[int, tuple[int, bytes]] = {}
    for place in fields.at(RESULTS):
        value = fields.value(place)
        start = _RESULTS_INSTANCE.match(value)
        instance = _instance({"i": start[1] if start else b""}, "ARC-Authentication-Results")
        if instance in found:
            raise BrokenChain(f"there are two ARC-Authentication-Results fields with i={instance}")
        found[instance] = place, value[start.end() :] if start else b""
    return found


def _read_seal(tags: dict[str, bytes]) -> Seal:
    """The tags of an ARC-Seal (RFC 8617 4.1.3). Raises BadSignature."""
    require(tags, ("a", "b", "cv", "d", "s"))
    if "h" in tags:
        raise BadSignature("h= must not stand in a seal")
    status = tags["cv"].decode("latin-1").lower()
    if status not in {"none", "pass", "fail"}:
        raise BadSignature("cv= says neither none nor pass nor fail")
    algorithm, kind = algorithm_value(tags["a"])
    value, domain = octets_value("b", tags["b"]), name_value("d", tags["d"])
    return Seal(status, algorithm, kind, value, domain, name_value("s", tags["s"]), number_tag(tags, "t"))


def _read_signature(tags: dict[str, bytes]) -> Signature:
    signature = read_signature(tags, arc=True)
    if SEAL in signature.fields:
        raise BadSignature("h= must not cover ARC-Seal")  # RFC 8617 4.1.2
    return signature


def _check_status(sets: list[ArcSet]) -> None:
    """RFC 8617 5.2 step 3.C."""
    for one in sets:
        if one.seal.status != ("none" if one.instance == 1 else "pass"):
            raise BrokenChain(f"the seal of set {one.instance} says cv={one.seal.status}")


def _told_to_fail(tags: dict[str, bytes]) -> bool:
    return tags.get("cv", b"").lower() == b"fail"


def highest_instance(fields: HeaderFields) -> int:
    """The highest instance that any ARC field claims, also in a chain that is broken (RFC 8617 5.1 step 3)."""
    highest = 0
    for name in (RESULTS, SIGNATURE, SEAL):
        for place in fields.at(name):
            claimed = _ANY_INSTANCE.search(fields.raw[place])
            highest = max(highest, int(claimed[1]) if claimed else 0)
    return highest


def read_chain(fields: HeaderFields) -> list[ArcSet]:
    """The sets from 1 upward; empty for a message without ARC. Raises BrokenChain."""
    count = sum(fields.count(name) for name in (RESULTS, SIGNATURE, SEAL))
    if not count:
        return []
    if count > _MAX_FIELDS:
        raise BrokenChain(f"there are more than {MAX_SETS} sets")
    results = _results(fields)
    signatures = _tagged(fields, SIGNATURE, "ARC-Message-Signature")
    seals = _tagged(fields, SEAL, "ARC-Seal")
    newest = max([*results, *signatures, *seals])
    if newest in seals and _told_to_fail(seals[newest][1]):
        raise BrokenChain(f"the newest seal, of set {newest}, says that the chain had failed before", True)
    sets = []
    for instance in range(1, newest + 1):
        if not (instance in results and instance in signatures and instance in seals):
            raise BrokenChain(f"set {instance} of {newest} is not complete")
        try:
            signature, seal = _read_signature(signatures[instance][1]), _read_seal(seals[instance][1])
        except BadSignature as fault:
            raise BrokenChain(f"set {instance}: {fault}") from fault
        places = results[instance][0], signatures[instance][0], seals[instance][0]
        sets.append(ArcSet(instance, *places, signature, seal, results[instance][1]))
    _check_status(sets)
    return sets
