"""postroom rules: kept as a script, read back, tried out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MAIL = "Return-Path: <bob@far.test>\r\nFrom: bob@far.test\r\nTo: ann@example.org\r\nSubject: the lists\r\n\r\nhello\r\n"


@pytest.fixture
def away(tmp_path: Path) -> str:
    path = tmp_path / "away.txt"
    path.write_text("I am away.\nUntil later")
    return str(path)


def does(postroom: Any, ann: str, folder: Path) -> list[str]:
    mail = folder / "mail.eml"
    mail.write_text(MAIL, newline="")
    (one,) = postroom("sieve", "test", ann, str(mail), "--json").json["messages"]
    return list(one["actions"])


def test_rules_are_added_and_removed(postroom: Any, ann: str, tmp_path: Path) -> None:
    done = postroom("rules", "show", ann)
    assert (done.code, done.out) == (0, "") and "has no rules" in done.err
    done = postroom(
        "rules", "add", ann, "lists", "--if", "subject contains lists", "--if", "from not is x@y.test",
        "--if", "size under 5M", "--then", "flag \\Seen", "--then", "file Lists/All", "--go-on",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out == (
        "rule: lists\n"
        "    if subject contains lists and from not is x@y.test and size under 5242880\n"
        "    then flag \\Seen; file Lists/All; go on\n"
    )
    assert does(postroom, ann, tmp_path) == ['fileinto "Lists/All" create flags \\Seen']
    assert postroom("rules", "add", ann, "first", "--then", "discard", "--first", "--off").code == 0
    assert postroom("rules", "add", ann, "copy", "--then", "forward-only a@far.test", "--any").code == 0
    found = postroom("rules", "show", ann, "--json").json
    assert [(one["name"], one["on"]) for one in found["rules"]["rules"]] == [
        ("first", False),
        ("lists", True),
        ("copy", True),
    ]
    assert found["active"] is True
    assert postroom("rules", "rm", ann, "copy").code == 0
    assert postroom("rules", "rm", ann, "copy").code == 3
    assert postroom("sieve", "show", ann, "--json").json["name"] == "rules"
    written = tmp_path / "rules.json"
    written.write_text(json.dumps(found["rules"]))
    assert postroom("rules", "set", ann, str(written)).code == 0
    assert postroom("rules", "show", ann, "--json").json["rules"] == found["rules"]
    written.write_text('{"rule": []}')
    assert postroom("rules", "set", ann, str(written)).code == 2


def test_away_and_forward(postroom: Any, ann: str, away: str, tmp_path: Path) -> None:
    done = postroom(
        "rules", "away", ann, "--text", away, "--outside", away, "--subject", "Away", "--until", "2999-12-24"
    )
    assert done.code == 0, done.err
    assert done.out == (
        "away: until 2999-12-24; the same sender is answered every 7 days\n"
        "    subject: Away\n"
        "    to example.org: I am away. Until later\n"
        "    to others: I am away. Until later\n"
    )
    assert postroom("rules", "forward", ann, "home@far.test", "--only").code == 0
    acts = does(postroom, ann, tmp_path)
    assert acts[0].startswith("vacation") and acts[1:] == ['redirect "home@far.test"']
    assert postroom("rules", "forward", ann, "--off").code == 0
    assert postroom("rules", "away", ann, "--off").code == 0
    assert does(postroom, ann, tmp_path) == ["implicit keep"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "x", "--if", "from", "--then", "keep"),
        ("add", "x", "--if", "from sounds x", "--then", "keep"),
        ("add", "x", "--if", "size over much", "--then", "keep"),
        ("add", "x", "--then", "fly"),
        ("add", "x", "--then", "forward nobody"),
        ("add", "x", "--if", "header:a:b is c", "--then", "keep"),
        ("add", "x", "--then", "file /a//b"),
        ("add", "x", "--then", "flag two words"),
        ("add", "x"),
        ("away",),
        ("forward",),
        ("forward", "a@far.test", "--off"),
        ("forward", "ann@example.org"),
        ("forward", *(f"{letter}@far.test" for letter in "abcde")),
    ],
)
def test_what_is_not_taken(postroom: Any, ann: str, arguments: tuple[str, ...]) -> None:
    done = postroom("rules", arguments[0], ann, *arguments[1:])
    assert done.code == 2, done
    assert postroom("sieve", "list", ann, "--json").json["scripts"] == []


def test_days_in_the_wrong_order(postroom: Any, ann: str, away: str) -> None:
    done = postroom("rules", "away", ann, "--text", away, "--from", "2999-12-24", "--until", "2999-12-01")
    assert done.code == 2 and "2999-12-01, is before the first, 2999-12-24" in done.err
    done = postroom("rules", "away", ann, "--text", away, "--outside", away, "--domain", "our people")
    assert done.code == 2 and "'our people' is no domain" in done.err


def test_other_scripts_are_left_alone(postroom: Any, ann: str, tmp_path: Path) -> None:
    script = tmp_path / "own.sieve"
    script.write_text("keep;\n")
    assert postroom("sieve", "put", ann, "own", str(script), "--activate").code == 0
    done = postroom("rules", "add", ann, "x", "--then", "discard")
    assert done.code == 1 and "own sorts the mail" in done.err and "--replace" in done.err
    assert postroom("rules", "add", ann, "x", "--then", "discard", "--replace").code == 0
    assert does(postroom, ann, tmp_path) == ["discard"]
    assert postroom("sieve", "put", ann, "rules", str(script)).code == 0
    done = postroom("rules", "show", ann)
    assert done.code == 1 and "is not ours" in done.err and "postroom sieve rename" in done.err
