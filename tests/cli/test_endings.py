"""How commands end when nobody reads on, and when a person stops them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.codes import Exit

SOURCE = Path(__file__).parents[2] / "src"


def unread(*words: str, errors_too: bool = False) -> tuple[int, bytes]:
    """The end of a command whose reader has gone, and what it said about it."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "postroom", *words],
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer if errors_too else subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr or b""


@pytest.mark.parametrize("words", ["--help", "user --help", "domain list", "domain list --json", "config describe"])
def test_a_closed_pipe_ends_a_command_quietly(words: str, site: Path) -> None:
    assert unread(*words.split()) == (Exit.UNREAD, b"")


@pytest.mark.parametrize("words", ["domain list", "no-such-command"])
def test_nor_is_it_told_into_a_closed_pipe(words: str, site: Path) -> None:
    assert unread(*words.split(), errors_too=True) == (Exit.UNREAD, b"")


def test_a_fault_is_told_though_nobody_reads_results(site: Path) -> None:
    code, said = unread("user", "show", "nobody@example.org")
    assert code == Exit.NOT_FOUND
    assert b"nobody@example.org" in said


def test_without_any_output(site: Path) -> None:
    """As cron jobs with `>&-` have it."""
    command = f"exec {sys.executable} -m postroom user list --json >&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_stopped_by_a_person(postroom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_config: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("postroom.cli.status.find_site", interrupted)
    done = postroom("status")
    assert (done.code, done.out, done.err) == (Exit.STOPPED, "", "postroom: stopped\n")


def test_the_shell_completes_words(postroom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_POSTROOM_COMPLETE", "bash_complete"), ("COMP_WORDS", "postroom qu"), ("COMP_CWORD", "1")):
        monkeypatch.setenv(name, value)
    assert postroom().out.splitlines() == ["plain,quarantine", "plain,queue"]
