"""Citations of standards in the source: their form, and whether the cited sections exist."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from postroom.testing.citations import (
    Citation,
    citations,
    find_texts,
    headings,
    misspelt,
    passages,
    read_headings,
)

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "postroom"
OF_THE_CHECKER = "testing/citations.py"  # it spells the wrong forms out
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if not path.match(OF_THE_CHECKER)]
TEXTS = find_texts(ROOT)

known_headings = cache(read_headings)


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_citations_have_the_agreed_form(path: Path) -> None:
    wrong = [f"line {line}: {found}" for line, text in passages(path.read_text()) for found in misspelt(text)]
    assert not wrong, "write RFC 5321 4.1.2"


@pytest.mark.skipif(TEXTS is None, reason="no RFC texts at hand (folder shared/rfc beside or above the project)")
@pytest.mark.parametrize("path", FILES, ids=_name)
def test_cited_sections_exist(path: Path) -> None:
    assert TEXTS is not None
    missing = []
    for line, text in passages(path.read_text()):
        for citation in citations(text):
            there = known_headings(TEXTS, citation.rfc)
            if citation.section and there is not None and citation.section not in there:
                missing.append(f"line {line}: {citation}")
    assert missing == []


def test_standards_are_cited() -> None:
    cited = {found.rfc for path in FILES for _, text in passages(path.read_text()) for found in citations(text)}
    assert {1939, 5321, 7162, 9051} <= cited and len(cited) > 40


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RFC 5321 4.1.2  Atom = 1*atext", ["RFC 5321 4.1.2"]),
        ("limits (RFC 5321 4.5.3.1.1).", ["RFC 5321 4.5.3.1.1"]),
        ("RFC 9051 3 (states), 6.3.1 (ENABLE); RFC 7162", ["RFC 9051 3", "RFC 9051 6.3.1", "RFC 7162"]),
        ("RFC 9051 6.3.4 to 6.3.8 and 6.3.11", ["RFC 9051 6.3.4", "RFC 9051 6.3.8", "RFC 9051 6.3.11"]),
        ("RFC 9051 6.3.4-6.3.6, RFC 6154", ["RFC 9051 6.3.4", "RFC 9051 6.3.6", "RFC 6154"]),
        ("RFC 9051 5.1 and A.1, Appendix E", ["RFC 9051 5.1", "RFC 9051 A.1", "RFC 9051 E"]),
        ("RFC 3463 X.3.4: too big", ["RFC 3463 X.3.4"]),
        ("RFC 2449 4 gives a command 255 octets", ["RFC 2449 4"]),
        ("RFC 5322 allows it, RFC 7888 (LITERAL+)", ["RFC 5322", "RFC 7888"]),
        ("RFC822.SIZE, rfc822;a@b", []),
    ],
)
def test_what_is_found(text: str, found: list[str]) -> None:
    assert [str(citation) for citation in citations(text)] == found
    assert misspelt(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "RFC5321 4.1",
        "RFC-5321",
        "rfc 5321 4.1",
        "RFC 5321 section 4.1",
        "RFC 5321, Section 4.1",
        "RFC 5321 §4.1",
        "section 4.1 of RFC 5321",
        "RFCs 5321 and 5322",
        "RFC 1939, 2449 (CAPA)",
        "RFC 9051 6.4.4, 3501",
        "RFC 2449 (CAPA), 3206",
    ],
)
def test_what_is_misspelt(text: str) -> None:
    assert misspelt(text)


def test_comments_on_consecutive_lines_are_one_text() -> None:
    source = 'x = 1  # after RFC 9051\n# 6.4.5 says\n\n# RFC 1939\ny = """RFC 5321\n4.1"""\n'
    assert [(line, citations(text)) for line, text in passages(source)] == [
        (1, [Citation(9051, "6.4.5")]),
        (4, [Citation(1939, "")]),
        (5, [Citation(5321, "4.1")]),
    ]


def test_headings() -> None:
    text = (
        "1. Introduction\n\n   4.3.2.  Literals\n   Section 9.9 is not here\n        7.7  is inside\nA.1.  Old names\n"
    )
    assert headings(text) == {"1", "4.3.2", "A.1"}
