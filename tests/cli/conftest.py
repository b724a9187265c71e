"""Commands run in this process on a scratch folder."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.main import main


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert found["schema"] == 1
        assert self.out.count("\n") == 1
        return dict(found)


@pytest.fixture
def postroom(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command in this process, in an empty folder, with a standard input that is no terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTROOM_CONFIG", raising=False)

    def run(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        text = capsys.readouterr()
        return Done(int(ended.value.code or 0), text.out, text.err)

    return run


@pytest.fixture
def site(postroom: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration as `init` writes it, with a domain; cheap passwords."""
    folder = tmp_path / "mail"
    done = postroom("init", str(folder), "--hostname", "mail.example.org", "--domain", "example.org")
    assert done.code == 0, done.err
    path = folder / "postroom.toml"
    path.write_text(path.read_text().replace("#memory_kib = 19456", "memory_kib = 8"))
    monkeypatch.setenv("POSTROOM_CONFIG", str(path))
    return folder


@pytest.fixture
def ann(site: Path, postroom: Any) -> str:
    """An account."""
    login = "ann@example.org"
    assert postroom("user", "add", login, "--password-stdin", stdin="correct horse\n").code == 0
    return login
