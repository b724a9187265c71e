"""The log's lines, levels and counts; and that code and catalogue name the same events."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from postroom.observe.catalogue import CATALOGUE
from postroom.observe.log import Events

SOURCE = Path(__file__).parents[2] / "src" / "postroom"
USED = re.compile(r'(?:\b|_)(?:events?|log|tell)\(\s*"([a-z]+[._][a-z_.]+)"')


def test_a_line_is_json_with_its_level_and_fields() -> None:
    out = io.BytesIO()
    events = Events("info", process="worker 0", stream=out)
    events("login.failed", login="a\r\nb", ip="192.0.2.1")
    [line] = out.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {
        "event": "login.failed",
        "level": "warning",
        "process": "worker 0",
        "login": "a\r\nb",
        "ip": "192.0.2.1",
    }


def test_levels_are_kept_and_everything_is_counted() -> None:
    out = io.BytesIO()
    events = Events("error", stream=out)
    events("login.failed")
    events("login.failed")
    assert out.getvalue() == b""
    assert events.counts == {"login.failed": 2}


def test_an_unknown_event_is_told_all_the_same() -> None:
    out = io.BytesIO()
    Events("error", stream=out)("nothing.known", reason="new")
    assert json.loads(out.getvalue())["event"] == "nothing.known"


def test_a_full_disk_does_not_stop_the_mail() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    Events("info", stream=Full())("server.stopped", status=0)


def test_lines_of_a_busy_worker_wait_for_each_other() -> None:
    out = io.BytesIO()
    events = Events("info", stream=out)
    calls: list[tuple[float, object]] = []
    events.wait_with(lambda seconds, call: calls.append((seconds, call)))
    events("server.stopped", status=0)
    events("server.stopped", status=1)
    assert out.getvalue() == b""
    assert len(calls) == 1
    events("login.failed", login="a")
    assert out.getvalue().count(b"\n") == 3, "a warning does not wait, and keeps the order"
    events("server.stopped", status=2)
    events.wait_with(None)
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()][-1] == "server.stopped"


def test_code_and_catalogue_agree() -> None:
    used = {name for path in SOURCE.rglob("*.py") for name in USED.findall(path.read_text())}
    assert len(used) > 20
    assert used - set(CATALOGUE) == set()


def test_a_reload_opens_the_file_anew_and_takes_the_level(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    events = Events("info", str(path))
    later: list[object] = []
    events.wait_with(lambda seconds, flush: later.append(flush))
    events("worker.started", slot=0)  # waits
    path.rename(moved)
    events.follow("warning", str(path))
    events("worker.started", slot=1)
    events("login.failed", login="ann")
    assert [json.loads(line)["event"] for line in moved.read_text().splitlines()] == ["worker.started"]
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["login.failed"]
    with pytest.raises(OSError):
        events.follow("debug", str(tmp_path / "nowhere" / "log"))
    events("login.failed", login="ben")
    events("worker.started", slot=2)
    assert len(path.read_text().splitlines()) == 2
