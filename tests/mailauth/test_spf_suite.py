"""The test suite of RFC 7208 (openspf.org), as pyspf's source archive ships it. Every case must give its result."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.mailauth.spf import SpfResult, check
from postroom.mailauth.zone import ZoneData, finished

from .vectors import archive_member

yaml = pytest.importorskip("yaml", reason="PyYAML is missing")


def zone_of(data: dict[str, list[Any]]) -> dict[str, Any]:
    """The suite's records as our zone data. SPF records become TXT where no TXT is given, as its drivers do."""
    zone: dict[str, Any] = {}
    for name, entries in data.items():
        types: dict[str, Any] = zone.setdefault(name, {})
        for entry in entries:
            if entry == "TIMEOUT":
                types["*"] = "TIMEOUT"
                continue
            for kind, value in entry.items():
                types.setdefault(kind, []).append(value)
        old = types.pop("SPF", [])
        types.setdefault("TXT", old)
        if types["TXT"] == ["NONE"]:
            types["TXT"] = []
        if types.get("*") and not types["TXT"]:
            del types["TXT"]
    return zone


def cases() -> list[Any]:
    found = []
    for scenario in yaml.safe_load_all(archive_member("pyspf", "test/rfc7208-tests.yml")):
        zone = ZoneData(zone_of(scenario["zonedata"]))
        found += [pytest.param(zone, case, id=name) for name, case in scenario["tests"].items()]
    return found


CASES = cases()


def test_the_suite_is_whole() -> None:
    assert len(CASES) >= 150


def run(zone: ZoneData, case: dict[str, Any]) -> SpfResult:
    return finished(check(zone, case["host"], case["helo"], case["mailfrom"], "mx.example.net", 1396000000))


@pytest.mark.parametrize(("zone", "case"), CASES)
def test_case(zone: ZoneData, case: dict[str, Any]) -> None:
    result = run(zone, case)
    allowed = [case["result"]] if isinstance(case["result"], str) else case["result"]
    assert result.result in allowed, (result.reason, result.steps)
    if "explanation" in case:
        assert result.explanation == ("" if case["explanation"] == "DEFAULT" else case["explanation"])
    assert result.reason.isascii()
    assert result.reason.isprintable()
