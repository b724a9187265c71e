"""The public suite of ARC (github.com/ValiMail/arc_test_suite), when its file lies in the folder of vectors.

No package ships it, so it is not fetched; test_arc.py has its cases anew. Where the suite leaves the status empty, its
reference gives none for a chain whose seals say cv=fail; RFC 8617 5.2 steps 2 and 3 say fail.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.mailauth.arc import ArcVerifier
from postroom.mailauth.header import network_form, split_message
from postroom.mailauth.zone import ZoneData, finished

from .signing import NOW

yaml = pytest.importorskip("yaml", reason="PyYAML is missing")

FILE = Path(os.environ.get("POSTROOM_VECTORS") or Path(sys.prefix, "vectors"), "arc-draft-validation-tests.yml")


class AsWritten(yaml.SafeLoader):
    """Keeps None, null and the like as text."""


AsWritten.yaml_implicit_resolvers = {}


def cases() -> list[Any]:
    if not FILE.exists():
        return [pytest.param({}, {}, marks=pytest.mark.skip(reason=f"{FILE} is not there"), id="the suite")]
    scenarios = list(yaml.load_all(FILE.read_text(), AsWritten))
    return [
        pytest.param(test, scenario.get("txt-records") or {}, id=name)
        for scenario in scenarios
        for name, test in (scenario.get("tests") or {}).items()
    ]


@pytest.mark.parametrize(("test", "records"), cases())
def test_the_public_suite(test, records):
    header, body = split_message(network_form(test["message"].encode()))
    verifier = ArcVerifier(header)
    verifier.body(body)
    result = finished(verifier.result(ZoneData({name: {"TXT": [text]} for name, text in records.items()}), NOW))
    assert result.result == (test["cv"].lower() or "fail")
