"""docs/protocols.md is current, and what it claims can be looked up: tests, sections, capabilities."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from postroom.net.link import Link, TlsInfo
from postroom.servers.login import Logins
from postroom.testing import protocol_table
from postroom.testing.citations import citations, find_texts, read_headings
from postroom.testing.protocol_table import BadTable, Chapter, Entry, chapters, load, render
from postroom.wire.imap.capability import Offer, capabilities

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "protocols.md"
TEXTS = find_texts(ROOT)
CURATED = load(PAGE.with_suffix(".toml"))
CHAPTERS = chapters(CURATED)
ENTRIES = [(chapter, entry) for chapter in CHAPTERS for entry in chapter.entries]


def _entries(*keys: str) -> dict[str, Entry]:
    return {entry.name: entry for chapter in CHAPTERS if chapter.key in keys for entry in chapter.entries}


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == render(CHAPTERS), (
        "write it again: python -m postroom.testing.protocol_table docs/protocols.md"
    )


# -- proofs -----------------------------------------------------------------------------------------------------------
@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _functions(body: list[ast.stmt]) -> set[str]:
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _tree(path).body if isinstance(node, ast.ClassDef)}


@cache
def _contracts() -> dict[str, ast.ClassDef]:
    """Classes of tests that stand in the package, for every implementation of a contract."""
    found: dict[str, ast.ClassDef] = {}
    for path in (ROOT / "src" / "postroom" / "testing").rglob("*.py"):
        found |= _classes(path)
    return found


def _is_there(test: str) -> bool:
    name, *way = test.split("::")
    path = TESTS / name
    if not path.is_file() or not path.name.startswith("test_") or not way[-1].startswith("test_"):
        return False
    if len(way) == 1:
        return way[0] in _functions(_tree(path).body)
    own = _classes(path).get(way[0])
    if own is None:
        return False
    bases = [_contracts().get(base.id) for base in own.bases if isinstance(base, ast.Name)]
    return any(way[1] in _functions(node.body) for node in (own, *bases) if node is not None)


def test_every_proof_exists() -> None:
    assert [f"{entry.name}: {test}" for _, entry in ENTRIES for test in entry.tests if not _is_there(test)] == []


@pytest.mark.parametrize(
    "test",
    [
        "house/test_protocol_table.py::test_no_such_thing",
        "house/test_none.py::test_every_proof_exists",
        "store/test_contract.py::TestAccounts::test_no_such_thing",
        "store/test_contract.py::TestNobody::test_move",
        "house/test_protocol_table.py::_is_there",
    ],
)
def test_a_proof_that_is_not_there_is_noticed(test: str) -> None:
    assert not _is_there(test)


# -- sections ---------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(TEXTS is None, reason="no RFC texts at hand (folder shared/rfc beside or above the project)")
def test_cited_sections_exist() -> None:
    assert TEXTS is not None
    wrong = []
    for _, entry in ENTRIES:
        for cited in (found for cite in entry.cites for found in citations(cite)):
            there = read_headings(TEXTS, cited.rfc)
            if cited.section and there is not None and cited.section not in there:
                wrong.append(f"{entry.name}: {cited}")
    assert wrong == []


# -- announced --------------------------------------------------------------------------------------------------------
def _imap_announces() -> set[str]:
    """Before TLS and after, before the login and after."""
    offers = (
        Offer(append_limit=1, mechanisms=_mechanisms(), jmap="https://x", sieve="sieve://x"),
        Offer(append_limit=1, mechanisms=_mechanisms(), literal_minus=True, message_limit=1000),
        Offer(save_limit=1000),
        Offer(append_limit=1, mechanisms=(), starttls=True, login=False),
    )
    return {name for offer in offers for known in (False, True) for name in capabilities(offer, known)}


def _mechanisms() -> tuple[str, ...]:
    """What a connection with TLS may log in with."""
    nobody = cast(Any, None)
    logins = Logins(service="imap", identity=nobody, throttle=nobody, log=nobody, nonce=str, decoy=b"")
    link = SimpleNamespace(secure=True, loopback=False, tls=TlsInfo("TLSv1.3", "x", b"hash"))
    return logins.mechanisms(cast(Link, link))


def test_what_imap_announces_has_a_row() -> None:
    rows = {name for name, entry in _entries("imap_capabilities").items() if not entry.absent}
    mechanisms, rules = _entries("sasl"), " ".join(_entries("imap_rules"))
    announced = _imap_announces()
    for name in announced:
        kind, _, value = name.partition("=")
        if kind == "AUTH":
            assert value in mechanisms
        elif kind in ("STARTTLS", "LOGINDISABLED", "LITERAL-"):
            assert kind in rules
        else:
            assert name in rows or kind in rows or f"{kind}=" in rows
    assert rows - announced == {
        "APPENDLIMIT",
        "RIGHTS=",
        "MESSAGELIMIT",
        "SAVELIMIT",
        "IMAPSIEVE=",
    }  # announced with values; so all rows that say yes are true


def test_what_logins_offer_has_a_row() -> None:
    assert "SCRAM-SHA-256-PLUS" in _mechanisms()
    assert set(_mechanisms()) <= set(_entries("sasl"))


def test_what_is_absent_is_announced_nowhere() -> None:
    announced = _imap_announces() | set(_entries("smtp_keywords")) | set(_entries("pop3_capabilities"))
    absent = {name for _, entry in ENTRIES if entry.absent for name in entry.name.split(" and ")}
    assert announced & absent == set()


# -- coverage ---------------------------------------------------------------------------------------------------------
FEATURES = TEXTS.parent / "FEATURES.md" if TEXTS else None


@pytest.mark.skipif(not FEATURES or not FEATURES.is_file(), reason="the table of the field's features is not at hand")
def test_every_extension_of_the_field_has_a_row() -> None:
    assert FEATURES is not None
    numbers = set(re.findall(r"^\| ([245]\.\d+) \|", FEATURES.read_text("utf-8"), re.MULTILINE))
    named = {number for _, entry in ENTRIES for number in entry.features}
    assert len(numbers) > 100
    assert numbers - named == set()


# -- faults in the curated rows ---------------------------------------------------------------------------------------
def _with(key: str, *changed: Entry) -> dict[str, list[Entry]]:
    names = {entry.name for entry in changed}
    rows = [entry for entry in CURATED[key] if entry.name not in names]
    return {**CURATED, key: [*rows, *(entry for entry in changed if entry.tests or entry.absent or entry.cites)]}


@pytest.mark.parametrize(
    ("curated", "message"),
    [
        (_with("imap_capabilities", Entry(name="IDLE")), "imap_capabilities has no row for IDLE"),
        (_with("pop3_capabilities", Entry(name="APOP", tests=("x::test_x",))), "does not know: APOP"),
        (_with("tls", Entry(name="X", cites=("RFC 5321",))), "X needs either"),
        (_with("tls", Entry(name="X", tests=("x::test_x",), absent="planned")), "X needs either"),
        (_with("tls", Entry(name="X", tests=("x::test_x",), cites=("RFC 5321 section 4",))), "write RFC 5321 4.1.2"),
        (_with("absent", Entry(name="X", cites=("RFC 5321",))), "X does not say why"),
        ({**CURATED, "jmap": []}, "no such chapter: jmap"),
    ],
)
def test_faults_are_named(curated: dict[str, list[Entry]], message: str) -> None:
    with pytest.raises(BadTable, match=message):
        chapters(curated)


def test_what_a_row_looks_like() -> None:
    yes = Entry(name="A", title="a|b", cites=("RFC 5321 4.1", "RFC 5322"), tests=("wire/test_a.py::test_a",))
    partly = Entry(name="B", partly="half", tests=("test_b.py::TestB::test_b",))
    gone = Entry(name="C", absent="planned", cites=("RFC 1",))
    text = render([Chapter("x", "X", "About X.", (yes, partly, gone)), Chapter("absent", "Not here", "Why.", ())])
    assert "1 rows are complete, 1 partly there, 1 not in this version." in text
    assert (
        "| **A** a\\|b | RFC 5321 4.1, RFC 5322 | yes | [`wire/test_a.py::test_a`](../tests/wire/test_a.py) |" in text
    )
    assert "| **B** | – | partly: half | [`test_b.py::TestB::test_b`](../tests/test_b.py) |" in text
    assert text.index("## Not here") < text.index("| **C** | RFC 1 | planned |")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "protocols.toml").write_text(PAGE.with_suffix(".toml").read_text("utf-8"), "utf-8")
    target = tmp_path / "protocols.md"
    assert protocol_table.main([str(target)]) == 0
    assert target.read_text("utf-8") == render(CHAPTERS)
    (tmp_path / "protocols.toml").write_text("tls = [{ nam = 'x' }]", "utf-8")
    assert protocol_table.main([str(target)]) == 1
    assert "nam" in capsys.readouterr().err
    assert protocol_table.main([]) == 2
