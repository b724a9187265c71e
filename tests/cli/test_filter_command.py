"""`postroom filter` and `postroom explain spam`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.codes import Exit


def test_wishes_are_kept_shown_and_taken_back(postroom: Any, ann: str) -> None:
    assert postroom("filter", "show", "--json").json["wishes"] == []
    done = postroom("filter", "set", "example.org", "--junk", "4", "--refuse", "0", "--json").json
    assert (done["junk"], done["refuse"], done["off"]) == (4, 0, False)
    postroom("filter", "set", ann, "--off")
    postroom("filter", "allow", ann, "Ben@B.test", "@c.test", "d.test")
    done = postroom("filter", "block", ann, "d.test", "--json").json
    assert (done["allow"], done["block"]) == (["ben@b.test", "@c.test"], ["d.test"])
    shown = postroom("filter", "show", ann).out
    assert "always  ben@b.test" in shown
    assert "never   d.test" in shown
    assert [one["owner"] for one in postroom("filter", "show", "--json").json["wishes"]] == [ann, "example.org"]
    assert postroom("filter", "unlist", ann, "ben@b.test", "@c.test", "d.test").code == 0
    assert postroom("filter", "unlist", ann, "d.test").code == Exit.NOT_FOUND
    postroom("filter", "set", ann, "--on")
    postroom("filter", "set", "example.org", "--junk", "default", "--refuse", "default")
    assert postroom("filter", "show", "--json").json["wishes"] == []


def test_thresholds_digest_and_networks(postroom: Any, ann: str) -> None:
    given = ("--quarantine", "8", "--flag", "3", "--hold", "6", "--refuse-sent", "0", "--digest", "18:30")
    done = postroom("filter", "set", "example.org", *given, "--json").json
    expected = {"quarantine": 8, "flag": 3, "hold": 6, "refuse_sent": 0, "digest": "18:30", "junk": None}
    assert {name: done[name] for name in expected} == expected
    shown = postroom("filter", "show", "example.org").out
    assert "18:30" in shown
    assert "WHAT THEY SEND" in shown
    done = postroom("filter", "block", ann, "192.0.2.0/24", "2001:DB8::/32", "198.51.100.7", "--json").json
    assert done["block"] == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]
    assert postroom("filter", "unlist", ann, "198.51.100.7").code == 0
    assert postroom("filter", "set", ann, "--digest", "off", "--json").json["digest"] == "off"
    assert postroom("filter", "set", ann, "--digest", "default", "--json").json["digest"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("set", "example.org"), "--junk"),
        (("set", "example.org", "--junk", "many"), "no score"),
        (("set", "example.org", "--digest", "25:00"), "no time"),
        (("set", "example.org", "--junk", "20", "--refuse", "3"), "Give --junk below --refuse, or 0 for never"),
        (("set", "example.org", "--quarantine", "8", "--refuse", "7.5"), "nothing would be quarantined from 8 on"),
        (("set", "example.org", "--hold", "8", "--refuse-sent", "2"), "--hold below --refuse-sent"),
        (("block", "example.org", "not a domain"), "no address, domain"),
        (("block", "example.org", "192.0.2.1/24"), "no address, domain"),
        (("train", "ann@example.org"), "--spam Junk"),
    ],
)
def test_what_is_wrong_is_named(postroom: Any, ann: str, arguments: tuple[str, ...], says: str) -> None:
    done = postroom("filter", *arguments)
    assert done.code == Exit.USAGE
    assert says in done.err


def test_owners_must_exist(postroom: Any, site: Path) -> None:
    assert postroom("filter", "set", "other.test", "--off").code == Exit.NOT_FOUND
    assert postroom("filter", "show", "ben@example.org").code == Exit.NOT_FOUND


def test_rules_are_listed_and_own_ones_stand_over_them(postroom: Any, site: Path) -> None:
    names = {one["name"]: one for one in postroom("filter", "rules", "--json").json["rules"]}
    assert names["EXTORTION"]["points"] == 4.0
    assert "[[rule]]" in postroom("filter", "rules", "--built-in").out
    own = site / "rules.toml"
    own.write_text('[[rule]]\nname = "EXTORTION"\nwords = ["x"]\npoints = 0\ntext = "off"\n')
    config = site / "postroom.toml"
    config.write_text(config.read_text().replace('#rules = ""', f'rules = "{own}"'))
    assert "EXTORTION" not in postroom("filter", "rules").out
    own.write_text("[[rule")
    done = postroom("filter", "rules")
    assert done.code == Exit.FAILED
    assert "filter.rules" in done.err


def test_training_mailboxes(postroom: Any, ann: str) -> None:
    assert postroom("filter", "train", ann, "--spam", "Junk", "--json").json["learned"] == 0
    assert postroom("filter", "train", ann, "--ham", "None").code == Exit.NOT_FOUND
    assert postroom("filter", "status", "--json").json["spam"] == 0
    assert postroom("filter", "forget", "--yes").code == 0
    assert postroom("filter", "forget", ann).code == Exit.USAGE  # nobody to ask


def test_a_file_is_judged(postroom: Any, ann: str, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_text("From: a@b.test\nSubject: URGENT\n\nI recorded you by your webcam. Send bitcoin now!\n")
    found = postroom("explain", "spam", str(path), "--for", ann, "--json").json
    assert found["check"] == "spam"
    assert {"EXTORTION", "NO_DATE"} <= {one["name"] for one in found["reasons"]}
    told = postroom("explain", "spam", str(path)).out
    assert "it blackmails the reader" in told
    assert "none is configured" in told


def test_every_source_of_evidence_is_named(postroom: Any, ann: str, tmp_path: Path, site: Path) -> None:
    host = re.search(r'^hostname = "([^"]+)"', (site / "postroom.toml").read_text(), re.MULTILINE)
    assert host is not None
    path = tmp_path / "mail.eml"
    trace = f"Received: from x ([192.0.2.9])\n\tby {host[1]}; Sun, 22 Nov 2026 11:00:00 +0000\n"
    results = f"Authentication-Results: {host[1]}; spf=fail reason=no; dkim=none; dmarc=fail reason=no\n"
    head = "From: a@b.test\nDate: Sun, 22 Nov 2026 11:00:00 +0000\nMessage-ID: <1@b.test>\nTo: x@y.test\n"
    path.write_text(f"{results}{trace}{head}\nSee you on Tuesday, as we said in the meeting.\n")
    found = postroom("explain", "spam", str(path), "--for", ann, "--json").json
    assert {"SPF_FAIL", "DMARC_FAIL"} <= {one["name"] for one in found["reasons"]}
    assert "DATE_OLD" not in {one["name"] for one in found["reasons"]}
    assert "SPF_FAIL +1.5" in found["sources"]["authentication"]
    assert "30 of each are needed" in found["sources"]["learned words"]
    assert "192.0.2.0/24" in found["sources"]["standing"]
    assert found["sources"]["greylisting"].startswith("off")
    assert set(found["sources"]) == {
        "authentication", "learned words", "standing", "acquaintance", "reports", "block lists", "greylisting", "rules",
        "phishing", "attachments", "wishes", "clamav", "rspamd",
    }  # fmt: skip
    path.write_text(f"{results.replace(host[1], 'other.test')}{head}\nhello\n")
    found = postroom("explain", "spam", str(path), "--json").json
    assert "SPF_FAIL" not in {one["name"] for one in found["reasons"]}


def test_a_message_as_delivered_has_the_reasons_of_then(postroom: Any, ann: str, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_text(
        "Authentication-Results: mail.example.org;\n spf=fail smtp.mailfrom=a@b.test;\n dkim=fail;\n"
        ' dmarc=fail reason="nothing proves it" header.from=b.test;\n iprev=fail policy.iprev=192.0.2.1\n'
        "X-Postroom-Warning: This message may not come from b.test.\n"
        "From: a@b.test\nSubject: hi\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nhello\n"
    )
    postroom("filter", "set", ann, "--quarantine", "6", "--refuse", "50")
    found = postroom("explain", "spam", str(path), "--for", ann, "--json").json
    names = {one["name"] for one in found["reasons"]}
    assert {"SPF_FAIL", "DKIM_FAIL", "DMARC_FAIL", "NO_REVERSE_NAME", "IMITATION"} <= names
    assert (found["quarantine_from"], found["refuse_from"], found["act"]) == (6, 50, "quarantine")
    shown = postroom("explain", "spam", str(path), "--for", ann).out
    assert "it is kept in quarantine" in shown
    path.write_text(path.read_text().replace("mail.example.org", "evil.test"))
    other = postroom("explain", "spam", str(path), "--for", ann, "--json").json
    assert "DKIM_FAIL" not in {one["name"] for one in other["reasons"]}, "that is what another server says"


def test_traps_are_addresses_of_nobody(postroom: Any, ann: str) -> None:
    made = postroom("filter", "trap", "add", "Bait@example.org", "old@example.org", "--json").json["traps"]
    assert made == ["bait@example.org", "old@example.org"]
    assert [one["address"] for one in postroom("filter", "trap", "list", "--json").json["traps"]] == made
    assert "bait@example.org" in postroom("filter", "trap", "list", "--domain", "example.org").out
    assert "a spam trap" in postroom("alias", "list").out
    for taken in (ann, "bait@example.org", "postmaster@example.org", "bait@other.test"):
        assert postroom("filter", "trap", "add", taken).code != 0
    assert "filter trap rm" in postroom("alias", "set", "bait@example.org", ann).err
    assert postroom("user", "add", "bait@example.org").code != 0
    postroom("alias", "add", "info@example.org", ann)
    assert postroom("filter", "trap", "rm", "info@example.org").code == Exit.NOT_FOUND
    assert postroom("filter", "trap", "rm", *made).code == 0
    assert postroom("filter", "trap", "list", "--json").json["traps"] == []


RULE = 'version = {}\n[[rule]]\nname = "LUNCH"\nwords = ["lunch"]\npoints = 2\ntext = "it is about lunch"\n'


def test_newer_rules_take_the_place_of_the_built_in_ones(postroom: Any, site: Path) -> None:
    ours = postroom("filter", "rules", "--json").json
    newer, newest = site / "newer.toml", site / "newest.toml"
    newer.write_text(RULE.format(ours["version"] + 1))
    newest.write_text(RULE.format(ours["version"] + 2).replace("points = 2", "points = 3"))
    done = postroom("filter", "rules", "update", str(newer), "--json").json
    assert (done["version"], done["rules"], done["added"]) == (ours["version"] + 1, 1, ["LUNCH"])
    assert "EXTORTION" in done["removed"]
    assert postroom("filter", "rules", "update", str(newest), "--json").json["changed"] == ["LUNCH"]
    assert postroom("filter", "rules", "update", str(newer)).code == Exit.NO_CHANGE
    assert postroom("filter", "rules", "update", str(newer), "--older").code == 0
    assert [one["points"] for one in postroom("filter", "rules", "list", "--json").json["rules"]] == [2]
    assert postroom("filter", "rules", "undo", "--json").json["version"] == ours["version"] + 2
    assert postroom("filter", "rules", "undo", "--json").json["version"] == ours["version"] + 1
    mail = site / "mail.eml"
    mail.write_text("From: a@b.test\nSubject: x\n\nlunch?\n")
    assert "LUNCH" in {one["name"] for one in postroom("explain", "spam", str(mail), "--json").json["reasons"]}


def test_rules_that_cannot_be_used_change_nothing(postroom: Any, site: Path) -> None:
    assert postroom("filter", "rules", "undo").code == Exit.NO_CHANGE
    ours = postroom("filter", "rules", "check", "--json").json
    assert ours["cut_short"].keys() <= {"SUBJECT_MARKS", "SUBJECT_SPACED"}
    bad = site / "bad.toml"
    for text, says in (
        ("[[rule", "cannot be read"),
        (RULE.format(9).replace("version = 9\n", ""), "has no version"),
        (RULE.format(3000000000).replace('words = ["lunch"]', 'pattern = "(a+)+$"'), "within a repeat"),
        (RULE.format(3000000000).replace('words = ["lunch"]', 'words = ["x"]\nwhere = "moon"'), "no place"),
    ):
        bad.write_text(text)
        done = postroom("filter", "rules", "update", str(bad))
        assert done.code == Exit.FAILED
        assert says in done.err
    assert postroom("filter", "rules", "check", str(site / "none.toml")).code == Exit.NOT_FOUND
    assert postroom("filter", "rules", "--json").json["version"] == ours["version"]


def test_newer_rules_that_were_damaged_are_left_out(postroom: Any, site: Path) -> None:
    ours = postroom("filter", "rules", "--json").json
    newer = site / "newer.toml"
    newer.write_text(RULE.format(ours["version"] + 1))
    assert postroom("filter", "rules", "update", str(newer)).code == 0
    (kept,) = site.rglob("filter/rules.toml")
    kept.write_text("[[rule")
    assert postroom("filter", "rules", "--json").json == ours


def test_files_are_learned(postroom: Any, ann: str, tmp_path: Path) -> None:
    letter = "Subject: pills\n\nbuy pills now, number {}\n"
    path = tmp_path / "spam.mbox"
    path.write_text("".join(f"From a@b.test Sat Nov 22 11:00:00 2026\n{letter.format(n)}\n" for n in range(120)))
    done = postroom("filter", "learn", "spam", str(path), "--for", ann, "--json").json
    assert (done["messages"], done["learned"]) == (120, 120)
    assert postroom("filter", "learn", "spam", str(path), "--json").json["learned"] == 0
    assert postroom("filter", "status", ann, "--json").json["spam"] == 120
    folder = tmp_path / "ham"
    folder.mkdir()
    (folder / "1.eml").write_text(letter.format(7))  # it was spam a moment ago
    assert postroom("filter", "learn", "ham", str(folder), "--json").json["learned"] == 1
    status = postroom("filter", "status", "--json").json
    assert (status["spam"], status["ham"]) == (119, 1)
    assert postroom("filter", "learn", "ham", ann, "INBOX", "--json").json["messages"] == 0
    assert postroom("filter", "learn", "ham", ann, "None").code == Exit.NOT_FOUND
    assert postroom("filter", "learn", "ham", ann).code == Exit.USAGE
    assert postroom("filter", "learn", "ham", str(tmp_path / "none")).code == Exit.NOT_FOUND


def test_scanners_are_asked_whether_they_are_there(postroom: Any, site: Path) -> None:
    assert postroom("filter", "scanners", "--json").json["scanners"] == []
    config = site / "postroom.toml"
    place = f"{site}/nobody"
    before = config.read_text()
    text = before.replace('#socket = ""', f'socket = "{place}"')
    text = text.replace("[rspamd]", '[rspamd]\nurl = "http://127.0.0.1:9"', 1)
    assert text != before
    config.write_text(text)
    done = postroom("filter", "scanners", "--json")
    assert done.code == Exit.UNREACHABLE
    assert "does not answer" in done.err
    assert place in done.out
    assert "127.0.0.1:9" in done.out
    assert postroom("config", "check").code == 0
    config.write_text(text.replace("http://127.0.0.1:9", "nonsense").replace(place, "nowhere"))
    said = postroom("config", "check")
    assert "rspamd.url" in said.err + said.out
    assert "clamav.socket" in said.err + said.out
