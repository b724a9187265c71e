"""The same scripts on the same messages, here and in Dovecot's sieve-test, where both know the extension."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from random import Random

import pytest

from postroom.sieve.actions import Action, FileInto, Keep, Redirect, Reject
from postroom.sieve.compiler import compile_script
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.world import Environment

from .sieve_scripts import Maker, message

PROGRAM = shutil.which("sieve-test")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="needs sieve-test (package dovecot-sieve)"),
]

_FOLDER = re.compile(r" \* store message in folder: (.*)")
_FLAGS = re.compile(r" +\+ add IMAP flags: ?(.*)")
_REDIRECT = re.compile(r" \* redirect message to: <(.*)>")
SENDER, RECIPIENT = "ann@example.org", "bob+team@example.net"


@pytest.fixture(scope="module")
def oracle():
    with tempfile.TemporaryDirectory() as name:  # not pytest's, which nobody else may read
        yield _oracle(Path(name))


def _oracle(folder: Path):
    folder.chmod(0o777)
    uid, gid = (os.getuid(), os.getgid()) if os.getuid() else (65534, 65534)
    home = folder / "home"
    home.mkdir()
    os.chown(home, uid, gid)
    config = folder / "dovecot.conf"
    config.write_text(
        f"mail_uid = {uid}\nmail_gid = {gid}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nmail_home = {home}\n"
        f"mail_location = maildir:{home}/mail\nlog_path = /dev/stderr\nssl = no\n"
        "plugin {\n  sieve_extensions = +editheader\n}\n"
    )

    def run(script: str, mail: bytes) -> set[str]:
        source, octets = folder / "s.sieve", folder / "m.eml"
        source.write_text(script)
        octets.write_bytes(mail)
        done = subprocess.run(
            [PROGRAM, "-c", str(config), "-f", SENDER, "-a", RECIPIENT, "-r", RECIPIENT, str(source), str(octets)],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode() + script
        return _read(done.stdout.decode())

    return run


def _read(text: str) -> set[str]:
    """What it says it would do; of a mailbox that both keep and fileinto name the last flags count (RFC 5232 3)."""
    found: dict[str, str] = {}
    where = ""
    for line in text.splitlines():
        if each := _FOLDER.fullmatch(line):
            where = each[1]
            found[where] = f"store {where}"
        elif each := _FLAGS.fullmatch(line):
            # RFC 5232 2: what is no flag is ignored; Dovecot keeps some
            flags = {flag.lower() for flag in each[1].split() if flag.isascii() and not set('](){%*"') & set(flag)}
            flags = {flag for flag in flags if "\\" not in flag[1:]}
            found[where] += " " + " ".join(sorted(flags))
        elif each := _REDIRECT.fullmatch(line):
            found[line] = f"redirect {each[1]}"
        elif line.startswith(" * reject"):
            found[line] = "reject"
    return {line.rstrip() for line in found.values()}


def _ours(actions: tuple[Action, ...]) -> set[str]:
    found = set()
    for action in actions:
        if isinstance(action, Keep | FileInto):
            name = "INBOX" if isinstance(action, Keep) else action.target.name
            found.add(f"store {name} {' '.join(sorted(flag.lower() for flag in action.flags))}".rstrip())
        elif isinstance(action, Redirect):
            found.add(f"redirect {action.address}")
        elif isinstance(action, Reject):
            found.add("reject")
    return found


@pytest.mark.parametrize("seed", range(60))
def test_the_same_as_dovecot(oracle, seed: int) -> None:
    rng = Random(seed)
    mail = message(rng)
    script = Maker(rng).script()
    result = run_program(compile_script(script), Mail.of(mail), Environment(sender=SENDER, recipient=RECIPIENT))
    assert not result.error, result
    theirs = oracle(script, mail)
    ours = _ours(result.actions)
    if ours != theirs:
        numbers = sorted({line.split()[1] for line in ours ^ theirs})
        lines = [line for line in script.splitlines() if any(f'"{number}"' in line for number in numbers)]
        pytest.fail(
            f"only here: {ours - theirs}\nonly there: {theirs - ours}\n" + "\n".join(lines) + f"\n{mail.decode()}"
        )


@pytest.mark.parametrize("seed", range(80))
def test_the_same_programs_as_dovecot(oracle, seed: int) -> None:
    """Nested, with edits of the header, and with every action that files or sends."""
    rng = Random(1000 + seed)
    mail = message(rng)
    script = Maker(rng).program()
    environment = Environment(sender=SENDER, recipient=RECIPIENT, items={"location": "MS", "phase": "post"})
    result = run_program(compile_script(script), Mail.of(mail), environment)
    assert not result.error, result
    assert _ours(result.actions) == oracle(script, mail), f"{script}\n{mail.decode()}"
