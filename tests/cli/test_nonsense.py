"""Every command and every option is given nonsense: an exit code that scripts know, one clear answer, no traceback.

The tree of commands is walked, so a new command or option is tried without a word here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import click
import pytest

from postroom.cli.codes import Exit
from postroom.cli.main import COMMANDS, main, root
from postroom.testing.dnsserver import DnsServer, running

NOBODY = 65534
ANN = "ann@example.org"
MAIL = b"From: <ann@example.org>\r\nTo: <ben@example.org>\r\nSubject: hello\r\n\r\nHello\r\n"

#: what a shell can hand over: nothing, what is long and steers a terminal, more than any number may be
NONSENSE = ("", "a\nb\x1b[31m\x07\x7f" + "x" * 5000, "9" * 30)

#: one more for each option, in turn: of other types, of nobody
ODD_VALUES = (
    "-1", "1e999", "nan", "\u0663d", "0001-01-01", "nobody@nowhere.test", "../../../etc/passwd", "@", "*",
)  # fmt: skip

#: more for each argument; one is 8-bit and no UTF-8
ODD_NAMES = ("\udcff\udc80", "a@b@c", "nobody@nowhere.test", "nowhere.test", "/dev/null/x", "%s{0}$(id)")

#: a sensible value for arguments that a command must have, by their name
SENSIBLE = {
    "domain": "example.org",
    "place": "elsewhere",
    "rights": "lr",
    "network": "192.0.2.7",
    "patterns": "friend@example.net",
    "mailbox": "INBOX",
    "at": "1d",
    "to": "mx",
    "then": "keep",
    "id": "0123456789abc",
    "ids": "0123456789abc",
    "group": "team@example.org",
    "scopes": "send",
}

#: the same, where the name alone does not say it
MEANT = {
    ("domain", "name"): "example.org",
    ("limit", "name"): "example.org",
    ("filter", "owner"): "example.org",
    ("share", "address"): "info@example.org",
    ("alias", "address"): "sales@example.org",
    ("rules", "name"): "news",
    ("sieve", "name"): "main",
    ("sieve", "new"): "other",
    ("webhook", "name"): "hook",
    ("user token", "token_id"): "0123456789",
}


#: commands that need no data folder
OF_FILES = (("filter", "rules"), ("filter", "scanners"))


def leaves(
    command: click.Command = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    with click.Context(root) as context:
        for name in COMMANDS if command is root else command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, (*path, name))
    if command is not root and command.invoke_without_command:
        yield path, command


ALL = dict(leaves())
NAMED = [pytest.param(path, id=" ".join(path)) for path in ALL]


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    """Nothing is asked of anybody outside, and nothing is known here."""
    with running({}) as server:
        yield server


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, dns: DnsServer) -> Path:
    """A site with a domain and an account, made once and copied."""
    folder = tmp_path_factory.mktemp("nonsense") / "site"
    quiet("init", str(folder), "--hostname", "mail.example.org", "--domain", "example.org")
    path = folder / "postroom.toml"
    text = path.read_text().replace("#memory_kib = 19456", "memory_kib = 8")
    assert "#dns = []" in text
    path.write_text(text.replace("#dns = []", f'dns = ["{dns.address}"]'))
    (folder / "mail.eml").write_bytes(MAIL)
    (folder / "password").write_text("correct horse 7\n")
    for person in ("ann", "ben"):
        quiet(
            "user", "add", f"{person}@example.org", "--password-file", str(folder / "password"), "--config", str(path)
        )
    return folder


def quiet(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0


@pytest.fixture
def site(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    shutil.copytree(template, folder)
    monkeypatch.setenv("POSTROOM_CONFIG", str(folder / "postroom.toml"))
    monkeypatch.setenv("POSTROOM_TRACEBACK", "1")  # a fault of the program is raised, not explained
    return folder


@pytest.fixture
def attempt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, site: Path
) -> Callable[..., tuple[int, str]]:
    """Run a command and look at its manners; its exit code and what it said."""
    started: list[str] = []
    monkeypatch.setattr("postroom.app.demo.serve", lambda *_: started.append("demo") or 0)
    monkeypatch.setattr("postroom.app.serve.serve", lambda *_: started.append("serve") or 0)
    monkeypatch.setattr("sys.stdin", (site / "password").open())
    monkeypatch.chdir(site)

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        done = capsys.readouterr()
        code = int(ended.value.code or 0)
        shown = f"postroom {' '.join(each[:60] for each in arguments)!r}: {code}\n{done.err[:3000]}"
        assert code in set(Exit), shown
        assert "Traceback" not in done.err + done.out, shown
        assert all(char.isprintable() or char == "\n" for char in done.err), f"it steers the terminal: {shown!r}"
        assert len(done.err) < 2000, f"it talks too much: {shown}"
        if code not in (Exit.OK, Exit.PARTLY):
            assert done.err.strip() or done.out.strip(), f"it says nothing: {shown}"
        if code in (Exit.USAGE, Exit.UNREACHABLE, Exit.NO_PERMISSION, Exit.BAD_CONFIG):
            assert done.err.strip(), f"it says nothing to people: {shown}"
        if "--json" in arguments and done.out:
            for line in done.out.splitlines():
                assert json.loads(line)["schema"] == 1, shown
        return code, done.err

    return run


def sensible(path: tuple[str, ...], command: click.Command, but: click.Parameter | None = None) -> list[str]:
    """Arguments with which the command has something to do; without those of one parameter."""
    words: list[str] = []
    places: list[str] = []
    for param in command.params:
        if param is but:
            continue
        name = str(param.name)
        if isinstance(param, click.Option):
            if name in ("yes", "password_stdin"):
                words.append(param.opts[0])
            elif param.required:
                words += [param.opts[0], _value(path, param)]
        elif param.required or name in ("members", "addresses"):
            places.append(_value(path, param))
    return [*words, "--", *places]


def _value(path: tuple[str, ...], param: click.Parameter) -> str:
    if isinstance(param.type, click.Choice):
        return str(param.type.choices[0])
    if isinstance(param.type, click.Path | click.File) and param.name != "place":
        return "mail.eml"
    meant = MEANT.get((" ".join(path[:-1]), str(param.name)))
    return meant or SENSIBLE.get(str(param.name), ANN)


def tries(path: tuple[str, ...], command: click.Command) -> Iterator[list[str]]:
    """Argument lists, each with one piece of nonsense."""
    odd = cycle(ODD_VALUES)
    yield [*sensible(path, command)]
    yield ["--json", *sensible(path, command)]
    yield ["--no-such-option", *sensible(path, command)]
    yield [*sensible(path, command), *["one more"] * 5]
    for param in command.params:
        rest = sensible(path, command, param)
        if isinstance(param, click.Argument):
            yield rest
            yield from (
                [*rest[: _at(command, rest, param)], word, *rest[_at(command, rest, param) :]]
                for word in (*NONSENSE, *ODD_NAMES)
            )
        elif isinstance(param, click.Option) and param.name not in ("help", "config_file", "as_json"):
            if param.is_flag:
                yield from ([opt, *rest] for opt in (*param.opts, *param.secondary_opts))
            else:
                yield from ([param.opts[0], word, *rest] for word in (*NONSENSE, next(odd)))
    yield ["--config"]


def _at(command: click.Command, rest: list[str], param: click.Parameter) -> int:
    """Where the argument stands among those that are given."""
    given = rest.index("--") + 1
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    before = sum(one.required for one in arguments[: arguments.index(param)])  # type: ignore[arg-type]
    return given + before


@pytest.mark.parametrize("path", NAMED)
def test_nonsense_gets_a_clear_answer(path: tuple[str, ...], attempt: Callable[..., tuple[int, str]]) -> None:
    for words in tries(path, ALL[path]):
        attempt(*path, *words)
    if path[0] not in ("demo", "init"):
        assert attempt("check")[0] == 0


# surroundings that are not as they should be

#: they need no configuration
ALONE = {("demo",), ("init",), ("config", "describe"), ("config", "sample")} | {
    path for path in ALL if path[0] == "explain"
}


def _garble(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(os.urandom(8192))


def _file_for_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("no folder")


def _config(text: bytes) -> Callable[[Path], None]:
    return lambda site: void((site / "postroom.toml").write_bytes(text))


def void(_result: object) -> None:
    """For what is done for its effect."""


#: what is wrong: (how it came so, exit codes it may end with)
TROUBLE: dict[str, tuple[Callable[[Path], None], set[Exit]]] = {
    "no configuration": (lambda site: (site / "postroom.toml").unlink(), {Exit.BAD_CONFIG}),
    "an empty configuration": (_config(b""), set(Exit)),
    "no TOML": (_config(b"[server\nhostname = 'x"), {Exit.BAD_CONFIG}),
    "octets": (_config(bytes(range(256)) * 8), {Exit.BAD_CONFIG}),
    "an unknown option": (_config(b'[server]\nhostnam = "x"\n'), {Exit.BAD_CONFIG}),
    "a wrong type": (_config(b'[server]\nhostname = 7\ndata = ["x"]\n'), {Exit.BAD_CONFIG}),
    "no data folder": (lambda site: shutil.rmtree(site / "data"), {Exit.NOT_FOUND, Exit.UNREACHABLE}),
    "a file for a data folder": (
        lambda site: _file_for_folder(site / "data"), {Exit.NOT_FOUND, Exit.UNREACHABLE, Exit.FAILED}
    ),
    "a damaged directory": (
        lambda site: _garble(site / "data" / "directory.db"), {Exit.FAILED, Exit.UNREACHABLE, Exit.NOT_FOUND}
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TROUBLE)
def test_surroundings_that_are_not_as_they_should_be(
    what: str, attempt: Callable[..., tuple[int, str]], site: Path
) -> None:
    spoil, codes = TROUBLE[what]
    spoil(site)
    for path, command in ALL.items():
        if path in ALONE or path == ("serve",):
            attempt(*path, *sensible(path, command))
            continue
        code, said = attempt(*path, *sensible(path, command))
        if path[0] == "config" or path[:2] in OF_FILES:
            assert code in codes | {Exit.OK, Exit.BAD_CONFIG, Exit.NO_CHANGE}, (path, code, said)
        else:
            assert code in codes | {Exit.USAGE}, (path, code, said)


@contextmanager
def somebody_else() -> Iterator[None]:
    """As a user who may not read what is the server's."""
    if os.geteuid():
        pytest.skip("only root can be somebody else")
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_without_the_right_to_read(attempt: Callable[..., tuple[int, str]], site: Path) -> None:
    for folder in (site, *site.parents[:3]):
        folder.chmod(0o755)
    for name in ("postroom.toml", "password", "mail.eml"):
        (site / name).chmod(0o644)
    with somebody_else():
        for path in ALL.keys() - ALONE - {("serve",), ("status",)}:
            code, said = attempt(*path, *sensible(path, ALL[path]))
            if path[0] not in ("config", "webhook") and path[:2] not in OF_FILES:
                assert code in (Exit.NO_PERMISSION, Exit.USAGE), (path, code, said)
    (site / "postroom.toml").chmod(0o600)
    with somebody_else():
        for path in ALL.keys() - ALONE:
            code, said = attempt(*path, *sensible(path, ALL[path]))
            assert code in (Exit.NO_PERMISSION, Exit.USAGE), (path, code, said)


@pytest.mark.parametrize(
    "words",
    [
        ("demo", "--port-offset", "60000"),
        ("demo", "--dns", "garbage"),
        ("demo", "--dns", "127.0.0.1:99999"),
        ("init", "new", "--port-offset", "64000"),
        ("init", ""),
    ],
    ids=" ".join,
)
def test_nothing_is_begun_that_cannot_be(
    words: tuple[str, ...], attempt: Callable[..., tuple[int, str]], site: Path
) -> None:
    before = sorted(site.iterdir())
    assert attempt(*words)[0] == Exit.USAGE
    assert sorted(site.iterdir()) == before


def test_a_fault_of_the_program_is_one_line(
    attempt: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTROOM_TRACEBACK")
    monkeypatch.setattr("postroom.cli.status.find_site", lambda _: {}["site"])
    code, said = attempt("status")
    assert code == Exit.FAILED
    assert said.startswith("postroom: a fault of the program itself: KeyError: 'site'")
    monkeypatch.setenv("POSTROOM_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main(["status"])


def test_the_damaged_database_is_named(attempt: Callable[..., tuple[int, str]], site: Path) -> None:
    _garble(site / "data" / "directory.db")
    code, said = attempt("user", "list")
    assert code == Exit.FAILED
    assert f"{site}/data/directory.db is damaged" in said
    assert "backup" in said
