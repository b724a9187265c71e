"""Links between the documents lead somewhere: the file is there, and the heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`|^    .*?$", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Of the headings, as the usual places make them."""
    heads = re.findall(r"^#+ +(.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(page: Path, text: str) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for file, anchor in _LINK.findall(_CODE.sub("", text)):
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            found.append(f"{file}#{anchor}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page, page.read_text("utf-8")) == []


def test_what_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading: of two\n")
    page = tmp_path / "page.md"
    page.write_text("## Own\n[a](there.md#a-heading-of-two) [b](#own) [c](there.md#gone) [d](gone.md) `[e](no.md)`\n")
    assert broken(page, page.read_text()) == ["there.md#gone", "gone.md#"]


def test_the_plan_of_large_rooms_names_what_is_there() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("### Large rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z/]+)` \|(.*)\|$", plan, re.MULTILINE)
    assert len(rows) > 4
    source = ROOT / "src" / "postroom"
    for room, words in rows:
        for name in re.findall(r"`([a-z_/]+)`", words):
            places = (source / room / f"{name}.py", source / room / name, source / name)
            assert any(place.exists() for place in places), f"{room}: there is no {name}"
