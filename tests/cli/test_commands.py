"""Every command on a scratch folder without a server: results, messages, exit codes, JSON."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from postroom.cli.main import COMMANDS, root
from postroom.store.api import AccountRow, Attempt, DomainRow, NewEntry, NewRecipient
from postroom.store.embedded import EmbeddedStore
from postroom.values.content import Content

SOURCE = Path(__file__).parents[2] / "src"


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    with click.Context(root) as context:
        for name in COMMANDS:
            command = root.get_command(context, name)
            assert command is not None
            found.append((name,))
            if isinstance(command, click.Group):
                found += [(name, each) for each in command.list_commands(context)]
    return found


def command_at(path: tuple[str, ...]) -> click.Command:
    here: click.Command = root
    with click.Context(root) as context:
        for name in path:
            assert isinstance(here, click.Group)
            found = here.get_command(context, name)
            assert found is not None
            here = found
    return here


# help


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_help(path: tuple[str, ...], postroom: Any) -> None:
    done = postroom(*path, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: postroom {' '.join(path)} ")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert "..." not in done.out.partition("Commands:")[2], "a short help text is cut off"


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_option_is_explained_and_none_takes_a_secret(path: tuple[str, ...]) -> None:
    for option in command_at(path).params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert not {"--password", "--secret"} & {*option.opts}


def test_the_group_line_names_every_subcommand() -> None:
    for name, (_, text) in COMMANDS.items():
        command = command_at((name,))
        if isinstance(command, click.Group) and ":" in text:
            told = text.partition(": ")[2].rstrip(".").split(", ")
            assert sorted(told) == sorted(command.commands)


#: they end with a file's text or run until they are stopped
NO_RESULT = {("serve",), ("config", "sample")}


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_result_can_be_had_as_json(path: tuple[str, ...]) -> None:
    command = command_at(path)
    if not isinstance(command, click.Group) and path not in NO_RESULT:
        assert any("--json" in option.opts for option in command.params)


def test_help_imports_little() -> None:
    """The time of `--help` is the time of its imports; 150 ms of CPU are allowed and this is what keeps them."""
    code = "import sys; sys.argv[1:] = ['--help']\nfrom postroom.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    modules = done.stderr.split()
    assert not {"asyncio", "ssl", "apsw", "msgspec", "cryptography", "uvloop", "argon2"} & {*modules}
    assert [name for name in modules if name.startswith("postroom.")] == [
        "postroom.cli",
        "postroom.cli.codes",
        "postroom.cli.main",
    ]
    assert len(modules) < 260


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(("usr",), "user"), (("user", "lst"), "list"), (("queue", "realease"), "release"), (("statsu",), "status")],
)
def test_a_typo_gets_a_guess(typed: tuple[str, ...], meant: str, postroom: Any) -> None:
    done = postroom(*typed)
    assert done.code == 2
    assert "Did you mean" in done.err
    assert f"'{meant}'" in done.err


# init and config


def test_init(postroom: Any, site: Path) -> None:
    assert (site / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (site / "data").stat().st_mode & 0o777 == 0o700
    assert (site / "data" / "directory.db").stat().st_mode & 0o777 == 0o600
    again = postroom("init", str(site))
    assert again.code == 4
    assert "is there already" in again.err


@pytest.mark.parametrize("arguments", [("--domain", "two words"), ("--port-offset", "70000")])
def test_init_writes_nothing_when_it_cannot_be_right(arguments: tuple[str, ...], postroom: Any, tmp_path: Path) -> None:
    assert postroom("init", str(tmp_path / "new"), *arguments).code == 2
    assert not (tmp_path / "new").exists()


def test_init_says_what_was_made(postroom: Any, tmp_path: Path) -> None:
    told = postroom("init", str(tmp_path / "x"), "--hostname", "mx.example.org", "--json").json
    assert told["config"] == str(tmp_path / "x" / "postroom.toml")
    assert told["hostname"] == "mx.example.org"


def test_config(postroom: Any, site: Path) -> None:
    assert postroom("config", "check").code == 0
    checked = postroom("config", "check", "--json").json
    assert checked["ok"]
    assert checked["problems"] == []
    assert 'server.hostname = "mail.example.org"' in postroom("config", "show").out
    assert postroom("config", "show", "--json").json["config"]["server"]["hostname"] == "mail.example.org"


def test_config_check_finds_what_would_not_start(postroom: Any, site: Path) -> None:
    (site / "key.pem").unlink()
    done = postroom("config", "check")
    assert done.code == 78
    assert "tls.key" in done.out
    told = postroom("config", "check", "--json")
    assert told.code == 78
    assert not told.json["ok"]


def test_config_describe(postroom: Any) -> None:
    assert "Smart host" in postroom("config", "describe", "relay.host").out
    assert len(postroom("config", "describe", "relay", "--json").json["options"]) > 5
    wrong = postroom("config", "describe", "relay.hst")
    assert wrong.code == 3
    assert "relay.host" in wrong.err


def test_config_sample(postroom: Any, tmp_path: Path) -> None:
    text = postroom("config", "sample").out
    assert postroom("config", "sample", "new.toml").code == 0
    assert (tmp_path / "new.toml").read_text() == text
    assert postroom("config", "sample", "new.toml").code == 4
    lost = postroom("config", "sample", "no/such/folder.toml")
    assert lost.code == 1
    assert lost.err == "postroom: no/such/folder.toml: No such file or directory\n"


def test_no_configuration(postroom: Any) -> None:
    done = postroom("user", "list")
    assert done.code == 78
    assert "postroom init" in done.err
    assert postroom("user", "list", "--config", "gone.toml").code == 78


def test_a_configuration_that_cannot_be_used(postroom: Any, site: Path) -> None:
    path = site / "postroom.toml"
    path.write_text(path.read_text().replace("[relay]", "[relay]\nhosst = 'x'"))
    for command in (("user", "list"), ("serve",), ("status",)):
        done = postroom(*command)
        assert done.code == 78
        assert "did you mean `host`?" in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_system_user_that_is_not_there(postroom: Any, site: Path) -> None:
    path = site / "postroom.toml"
    path.write_text(path.read_text().replace('#user = ""', 'user = "no-such-user"', 1))
    done = postroom("user", "list")
    assert done.code == 78
    assert "no-such-user" in done.err


# domains, accounts, aliases


def test_domains(postroom: Any, site: Path) -> None:
    assert postroom("domain", "add", "Example.NET", "--json").json["name"] == "example.net"
    assert postroom("domain", "add", "example.net").code == 4
    assert postroom("domain", "add", "two words").code == 2
    listed = postroom("domain", "list", "--json").json["domains"]
    assert [row["name"] for row in listed] == ["example.net", "example.org"]
    assert postroom("domain", "set", "example.net").code == 2
    assert postroom("domain", "set", "example.net", "--off", "--json").json["disabled"]
    assert "off" in postroom("domain", "show", "example.net").out
    missing = postroom("domain", "show", "exmple.net")
    assert missing.code == 3
    assert "Did you mean example.net?" in missing.err
    assert postroom("domain", "rm", "example.net").code == 2, "asks, and nobody is there to answer"
    assert postroom("domain", "rm", "example.net", "--yes", "--json").json["removed"]
    assert postroom("domain", "rm", "example.net", "--yes").code == 3


def test_a_domain_in_use_stays(postroom: Any, ann: str) -> None:
    done = postroom("domain", "rm", "example.org", "--yes")
    assert done.code == 1
    assert "postroom user list" in done.err


def test_accounts(postroom: Any, ann: str) -> None:
    assert postroom("user", "add", ann, "--generate").code == 4
    assert postroom("user", "add", "x@example.com", "--generate").code == 3
    assert postroom("user", "set", ann).code == 2
    assert postroom("user", "set", ann, "--quota", "2G", "--pop3-delete", "trash", "--json").json["quota"] == 2 << 30
    for size in ("5Q", "inf", "-1"):
        assert postroom("user", "set", ann, "--quota", size).code == 2
    postroom("user", "set", ann, "--imap-without", "idle", "--imap-without", "QRESYNC", "--quota-messages", "10")
    assert postroom("user", "set", ann, "--quota-messages", "x").code == 2
    assert "Did you mean QRESYNC?" in postroom("user", "set", ann, "--imap-without", "QRESINC").err
    shown = postroom("user", "show", ann, "--json").json
    assert (shown["pop3_delete"], shown["messages"]) == ("trash", 0)
    assert (shown["quota_messages"], shown["imap_without"]) == (10, ["IDLE", "QRESYNC"])
    assert "0 of 10 messages" in postroom("user", "show", ann).out
    cleared = postroom("user", "set", ann, "--imap-without", "none", "--quota-messages", "none", "--json").json
    assert (cleared["quota_messages"], cleared["imap_without"]) == (0, [])
    assert {box["name"] for box in shown["mailboxes"]} == {"INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"}
    assert [row["login"] for row in postroom("user", "list", "--json").json["users"]] == [ann]
    assert postroom("user", "list", "--domain", "example.com").code == 3
    missing = postroom("user", "show", "an@example.org")
    assert missing.code == 3
    assert f"Did you mean {ann}?" in missing.err


def test_disable_and_remove(postroom: Any, ann: str) -> None:
    assert postroom("user", "disable", ann, "--json").json["disabled"]
    assert postroom("user", "disable", ann).code == 4
    assert postroom("user", "enable", ann).code == 0
    assert postroom("user", "enable", ann).code == 4
    assert postroom("user", "rm", ann).code == 2, "asks, and nobody is there to answer"
    assert postroom("user", "rm", ann, "--yes", "--json").json["removed"]
    assert postroom("user", "show", ann).code == 3


def test_passwords(postroom: Any, ann: str, tmp_path: Path) -> None:
    asked = postroom("user", "passwd", ann)
    assert asked.code == 2
    assert "--password-stdin" in asked.err
    made = postroom("user", "passwd", ann, "--generate")
    assert made.code == 0
    assert len(made.out.strip()) >= 16, "the password is the result, alone on standard output"
    assert postroom("user", "passwd", ann, "--generate", "--json").json["password"]
    (tmp_path / "pw").write_text("a long enough one\nsecond line\n")
    from_file = postroom("user", "passwd", ann, "--password-file", str(tmp_path / "pw"))
    assert from_file.code == 0
    assert "long enough" not in from_file.out + from_file.err
    (tmp_path / "pw").write_bytes(b"\xff\xfe")
    assert postroom("user", "passwd", ann, "--password-file", str(tmp_path / "pw")).code == 2
    short = postroom("user", "passwd", ann, "--password-stdin", stdin="short\n")
    assert short.code == 2
    assert "8 characters" in short.err
    assert postroom("user", "passwd", ann, "--password", "correct horse").code == 2
    assert "password" not in postroom("user", "show", ann, "--json").json


def test_aliases(postroom: Any, ann: str) -> None:
    assert postroom("alias", "add", "info@example.org", ann, "bob@elsewhere.org").code == 0
    assert postroom("alias", "add", "info@example.org", ann).code == 4
    assert postroom("alias", "add", ann, "bob@elsewhere.org").code == 4
    assert postroom("alias", "add", "sales@example.org", "nobody@example.org").code == 3
    shown = postroom("alias", "show", "info@example.org", "--json").json
    assert shown["members"] == [ann, "bob@elsewhere.org"]
    assert postroom("alias", "set", "info@example.org", ann, "--json").json["members"] == [ann]
    assert len(postroom("alias", "list", "--json").json["aliases"]) == 1
    assert postroom("alias", "show", "inf@example.org").code == 3
    alone = postroom("user", "disable", ann), postroom("user", "rm", ann, "--yes")
    assert alone[1].code == 1
    assert postroom("alias", "rm", "info@example.org").code == 2
    gone = postroom("alias", "rm", "info@example.org", "--yes")
    assert gone.code == 0
    assert f"postroom alias add info@example.org {ann}" in gone.err, "how to undo it"


# queue, check, status


def test_an_empty_queue(postroom: Any, site: Path) -> None:
    listed = postroom("queue", "list")
    assert (listed.code, listed.out, listed.err) == (0, "", "0 messages in the queue\n")
    assert postroom("queue", "list", "--state", "waiting", "--older-than", "4h", "--json").json["entries"] == []
    assert postroom("queue", "flush", "--json").json["changed"] == 0
    assert postroom("queue", "show", "nothing").code == 3
    for verb in ("retry", "hold", "release", "drop"):
        assert postroom("queue", verb).code == 2, "which messages?"
        nothing = postroom("queue", verb, "--domain", "example.com")
        assert nothing.code == 3
        assert "postroom queue list" in nothing.err
    assert postroom("queue", "retry", "--state", "held").code == 2
    assert postroom("queue", "list", "--older-than", "soon").code == 2
    assert postroom("queue", "list", "--state", "gone").code == 2


def test_what_has_a_date_is_not_tried_before(postroom: Any, site: Path) -> None:
    async def fill() -> None:
        store = EmbeddedStore(str(site / "data"), 0)
        there = (NewRecipient(address="b@far.test", route="remote"),)
        for name, release in (("now", 0.0), ("later", time.time() + 3600)):
            await store.queue.accept(
                NewEntry(
                    id=name,
                    sender="a@x.test",
                    recipients=there,
                    content=Content.of(b"x"),
                    received=1.0,
                    release=release,
                )
            )
        await store.close()

    asyncio.run(fill())
    tried = postroom("queue", "retry", "now", "later")
    assert "2 messages will be tried now" in tried.err
    assert "1 message of these must not be sent yet: not before" in tried.err
    assert postroom("queue", "retry", "later", "--json").json["changed"] == 1


def test_queue_shows_dates_tries_and_other_ways(postroom: Any, site: Path) -> None:
    async def fill() -> None:
        store = EmbeddedStore(str(site / "data"), 0)
        recipients = (
            NewRecipient(address="b@far.test", route="remote"),
            NewRecipient(address="c@x.test", route="remote"),
        )
        new = NewEntry(
            id="one", sender="ann@example.org", recipients=recipients, content=Content.of(b"x"), received=1.0
        )
        kept = await store.queue.accept(new)
        tried = replace(kept.recipients[0], attempts=1, history=(Attempt(5.0, "4.2.2", "mx.far.test said: 452 full"),))
        await store.queue.update("one", [tried])
        await store.queue.accept(replace(new, id="two", release=4_000_000_000.0, tls="required"))
        await store.close()

    asyncio.run(fill())
    assert "scheduled" in postroom("queue", "list", "two").out
    assert postroom("queue", "release", "two").code == 4, "it is not held"
    assert postroom("queue", "hold", "two").code == 0
    again = postroom("queue", "hold", "two")
    assert again.code == 4
    assert "held already" in again.err
    assert postroom("queue", "retry", "two").code == 4
    assert postroom("queue", "release", "two").code == 0
    shown = postroom("queue", "show", "two").out
    assert "not before" in shown
    assert "REQUIRETLS" in shown
    assert "452 full" in postroom("queue", "show", "one").out
    assert len(postroom("queue", "list", "--limit", "1", "--json").json["entries"]) == 1
    assert postroom("queue", "reroute", "--domain", "far.test", "--to", "mx.other.test:x").code == 2
    assert postroom("queue", "reroute", "one", "--domain", "far.test", "--to", "mx.other.test:2525").code == 0
    entry = postroom("queue", "list", "one", "--json").json["entries"][0]
    assert [each["nexthop"] for each in entry["recipients"]] == ["mx.other.test:2525", ""]
    assert entry["recipients"][0]["tries"] == [
        {"at": 5.0, "status": "4.2.2", "reply": "mx.far.test said: 452 full", "cause": ""}
    ]
    assert "goes by" in postroom("queue", "show", "one").out
    assert postroom("queue", "flush", "--json").json["changed"] == 2
    assert postroom("queue", "list", "two", "--json").json["entries"][0]["recipients"][0]["next_try"] == 4_000_000_000.0


def test_suppress(postroom: Any, site: Path) -> None:
    assert postroom("suppress", "list").err == "0 addresses\n"
    assert postroom("suppress", "add", "Bob@far.test", "--for", "2d", "--reason", "asked for it").code == 0
    assert postroom("suppress", "add", "eve@far.test").code == 0
    one, two = postroom("suppress", "list", "--json").json["suppressions"]
    assert (one["address"], one["reason"], round(one["until"] - one["since"])) == (
        "bob@far.test",
        "asked for it",
        172800,
    )
    assert two["until"] is None
    assert "for good" in postroom("suppress", "list").out
    assert postroom("suppress", "rm", "bob@far.test").code == 0
    assert postroom("suppress", "rm", "bob@far.test").code == 3
    assert postroom("suppress", "add", "bob").code == 2
    assert len(postroom("suppress", "list", "--json").json["suppressions"]) == 1


def test_check(postroom: Any, ann: str, site: Path) -> None:
    sound = postroom("check")
    assert (sound.code, sound.out, sound.err) == (0, "", "all is well\n")
    assert postroom("check", "--user", "nobody@example.org").code == 3
    [database] = site.glob("data/accounts/*/*/mail.db")
    for path in database.parent.glob("mail.db*"):
        path.unlink()
    broken = postroom("check", "--json")
    assert broken.code == 1
    assert broken.json["findings"]


def test_check_repairs(postroom: Any, ann: str, site: Path) -> None:
    [path] = site.glob("data/accounts/*/*/mail.db")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE mailbox SET messages = 7 WHERE name = 'INBOX'")
        database.execute("INSERT INTO acl VALUES (77, 'ben@example.org', 3)")
    database.close()
    broken = postroom("check")
    assert broken.code == 1
    assert "counters say" in broken.out
    assert broken.err.endswith("can be mended: postroom check --repair\n")
    mended = postroom("check", "--user", ann, "--repair", "--json")
    assert mended.code == 0
    assert mended.json["findings"] == []
    assert {one["mendable"] for one in mended.json["mended"]} == {True}
    assert any("mailbox 77" in one["what"] for one in mended.json["mended"])
    assert postroom("check", "--repair").err == "all is well\n"
    [act] = [act for act in postroom("audit", "list", "--json").json["acts"] if act["act"] == "check"]
    assert act["on"] == ann


def test_check_names_what_an_older_directory_does_not_know(postroom: Any, ann: str, site: Path) -> None:
    """A directory.db put back from before an account was made or removed."""
    data = site / "data"
    with sqlite3.connect(data / "directory.db") as database:
        database.execute("VACUUM INTO ?", (str(data / "older.db"),))
    database.close()
    assert postroom("user", "add", "new@example.org", "--generate").code == 0
    for path in data.glob("directory.db*"):
        path.unlink()
    (data / "older.db").rename(data / "directory.db")
    [finding] = postroom("check", "--json").json["findings"]
    assert "belongs to no account" in finding["what"]
    known = postroom("user", "show", ann, "--json").json["id"]
    for folder in data.glob("accounts/*/*"):
        if folder.name == known:
            shutil.rmtree(folder)
    whats = [finding["what"] for finding in postroom("check", "--json").json["findings"]]
    assert any(what == f"account {ann} ({known}) has no folder" for what in whats)


def test_no_server(postroom: Any, site: Path) -> None:
    for arguments in (("status",), ("status", "--json")):
        done = postroom(*arguments)
        assert (done.code, done.out) == (69, "")
        assert "postroom serve" in done.err


def test_no_data_folder(postroom: Any, site: Path) -> None:
    (site / "data").rename(site / "moved")
    done = postroom("user", "list")
    assert done.code == 3
    assert "there is no data folder" in done.err


def test_demo_wants_ports_that_exist(postroom: Any) -> None:
    assert postroom("demo", "--port-offset", "70000").code == 2
    assert postroom("demo", "--workers", "0").code == 2


def test_serve_refuses_what_config_check_calls_fatal(postroom: Any, site: Path) -> None:
    path = site / "postroom.toml"
    path.write_text(path.read_text().replace("#relay_networks = []", 'relay_networks = ["0.0.0.0/0"]'))
    done = postroom("serve")
    assert done.code == 78
    assert "open relay" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_to_read_the_configuration(postroom: Any, site: Path) -> None:
    (site / "postroom.toml").chmod(0)
    assert postroom("user", "list").code == 77


def test_check_looks_at_each_account_once(tmp_path: Path) -> None:
    looked: list[tuple[int, int]] = []

    async def work() -> None:
        store = EmbeddedStore(str(tmp_path / "data"), None)
        await store.directory.put_domain(DomainRow(name="x.test", created=0.0))
        for account in ("one", "two"):
            await store.create_account(account, [("INBOX", "")])
            await store.directory.put_account(AccountRow(id=account, login=f"{account}@x.test", created=0.0))
        assert [finding async for finding in store.check(progress=lambda *step: looked.append(step))] == []
        await store.close()

    asyncio.run(work())
    assert looked == [(1, 2), (2, 2)]
