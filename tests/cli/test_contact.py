"""`postroom contact`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CARDS = """BEGIN:VCARD
FN:Ben Baker
EMAIL:Ben@Far.test
EMAIL:ben@far.test
EMAIL:no address
END:VCARD
BEGIN:VCARD
FN:Nobody
END:VCARD
"""


def test_a_file_is_taken_in(postroom: Any, ann: str, tmp_path: Path) -> None:
    file = tmp_path / "people.vcf"
    file.write_text(CARDS)
    tried = postroom("contact", "import", ann, str(file), "--dry-run")
    assert (tried.code, "nothing was changed" in tried.err) == (0, True)
    assert postroom("contact", "list", ann, "--json").json["contacts"] == []
    done = postroom("contact", "import", ann, str(file))
    assert done.code == 0, done.err
    assert "1 new, 0 known" in done.err
    assert "1 stand there more than once" in done.err
    assert "1 have no address" in done.err
    assert "line 5: 'no address' is no address" in done.err
    [row] = postroom("contact", "list", ann, "--json").json["contacts"]
    assert (row["address"], row["name"], row["source"]) == ("ben@far.test", "Ben Baker", "import")
    file.write_text("Name,Email\nBenjamin,BEN@far.test\nEve,eve@far.test\n")
    told = postroom("contact", "import", ann, str(file), "--json").json
    assert (told["new"], told["known"], told["named"], told["unreadable"]) == (1, 1, 1, [])
    assert "Benjamin" in postroom("contact", "list", ann, "far.test").out
    assert "eve" not in postroom("contact", "list", ann, "benja").out


def test_what_holds_nobody_fails(postroom: Any, ann: str, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\x00\x01\x02 nothing")
    done = postroom("contact", "import", ann, str(file))
    assert (done.code, "no contact could be read" in done.err) == (1, True)
    assert postroom("contact", "import", "nobody@example.org", str(file)).code == 3


@pytest.mark.parametrize("form", ["vcard", "csv"])
def test_what_is_written_is_taken_in_again(postroom: Any, ann: str, tmp_path: Path, form: str) -> None:
    assert postroom("contact", "add", ann, "ben@far.test", "--name", "Bäcker; Ben, \\").code == 0
    assert postroom("contact", "add", ann, "eve@far.test").code == 0
    text = postroom("contact", "export", ann, "--form", form).out
    assert postroom("contact", "rm", ann, "--all").code == 0
    file = tmp_path / "again"
    file.write_text(text, newline="")
    assert postroom("contact", "import", ann, str(file)).code == 0
    rows = postroom("contact", "list", ann, "--json").json["contacts"]
    assert [row["address"] for row in rows] == ["ben@far.test", "eve@far.test"]
    assert [row["name"] for row in rows] == ["Bäcker; Ben, \\", ""]


def test_adding_and_removing(postroom: Any, ann: str) -> None:
    assert postroom("contact", "add", ann, "ben@far.test", "x@y.test").code == 0
    again = postroom("contact", "add", ann, "BEN@far.test")
    assert (again.code, "there already" in again.err) == (4, True)
    assert postroom("contact", "add", ann, "ben@far.test", "--name", "Ben", "--json").json["new"] == 0
    assert postroom("contact", "add", ann, "nobody").code == 2
    assert postroom("contact", "add", ann, "a@b.test", "c@d.test", "--name", "X").code == 2
    assert postroom("contact", "rm", ann, "ben@far.test", "--json").json["removed"] == 1
    assert postroom("contact", "rm", ann, "ben@far.test").code == 3
    assert postroom("contact", "rm", ann).code == 2
    assert "put" in postroom("audit", "list", ann).out
