"""/metrics and /health of a running server: all workers in one page, and what is wrong in words."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import smtplib
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

from running import Running, named, start_demo, stop_demo, until

LINE = re.compile(r"([a-z_]+)(?:\{([^{}]*)\})? (-?[0-9.e+-]+)")


def get(server: Running, path: str) -> tuple[int, str]:
    url = f"http://{server.host}:{server.ports['metrics']}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read().decode()


def samples(server: Running) -> dict[str, dict[str, float]]:
    """Every sample, by name and labels; the page must be well formed."""
    code, text = get(server, "/metrics")
    assert code == 200
    found: dict[str, dict[str, float]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, "a family comes once"
            kinds[name] = kind
        elif not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert (match[1] if match[1] in kinds else base) in kinds
            assert match[2] not in found[match[1]], "each sample comes once"
            found[match[1]][match[2] or ""] = float(match[3])
    return found


def outcome(server: Running, name: str) -> float:
    return sum(
        value for labels, value in samples(server)["postroom_messages_total"].items() if f'outcome="{name}"' in labels
    )


def health(server: Running) -> tuple[int, dict[str, Any]]:
    code, text = get(server, "/health/ready")
    return code, json.loads(text)["checks"]


def test_all_workers_are_on_one_page(server: Running, mailbox: dict[str, str]) -> None:
    before = outcome(server, "delivered")
    for _ in range(8):  # to both workers, in all likelihood
        with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
            smtp.sendmail("a@far.test", [mailbox["login"]], b"Subject: x\r\n\r\nhello\r\n")
    assert until(lambda: outcome(server, "delivered") == before + 8)
    page = samples(server)
    assert set(page["postroom_queue_messages"]) == {'worker="0"', 'worker="1"'}
    assert set(page["postroom_process_up"].values()) == {1.0}
    assert sum(page["postroom_commit_seconds_count"].values()) > 0
    assert page["postroom_disk_free_bytes"][""] > 0
    assert get(server, "/health/live") == (200, '{"status":"live"}')
    assert get(server, "/nothing")[0] == 404
    code, checks = health(server)
    assert code == 200
    assert {name for name, check in checks.items() if check["ok"]} == {
        "workers",
        "hashing",
        "store",
        "disk",
        "queue",
        "certificate",
    }


def test_counts_go_on_when_a_worker_is_started_again(folder: Path) -> None:
    server = start_demo(folder, "--workers", "1")
    try:
        with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
            smtp.sendmail("a@far.test", [server.login()], b"Subject: x\r\n\r\nhello\r\n")
        until(lambda: outcome(server, "delivered") == 1)
        old = named(server, "worker 0")
        os.kill(old, signal.SIGKILL)
        until(lambda: named(server, "worker 0") not in (0, old))
        with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
            smtp.sendmail("a@far.test", [server.login()], b"Subject: x\r\n\r\nhello\r\n")
        until(lambda: outcome(server, "delivered") == 2)
        assert samples(server)["postroom_process_restarts_total"][""] == 1
    finally:
        assert stop_demo(server) == 0


def test_what_is_wrong_is_said(folder: Path) -> None:
    server = start_demo(folder, "--workers", "1")
    try:
        certificate = Path(server.certificate)
        kept = certificate.read_bytes()
        certificate.write_text("no certificate")
        _, checks = until(lambda: (found := health(server))[0] == 503 and found)
        assert not checks["certificate"]["ok"]
        assert "cannot be read" in checks["certificate"]["text"]
        certificate.write_bytes(kept)
        os.kill(named(server, "hashing"), signal.SIGSTOP)  # it may hang; it is there
        until(lambda: health(server)[0] == 200)
        os.kill(named(server, "hashing"), signal.SIGCONT)
        shutil.rmtree(Path(server.data) / "run")
        _code, checks = until(lambda: (found := health(server))[0] == 503 and found)
        assert not checks["store"]["ok"]
        assert "No such file" in checks["store"]["text"]
    finally:
        server.process.kill()
        server.process.wait(10)
        if server.process.stdout is not None:
            server.process.stdout.close()


def test_a_reload_may_bring_the_page(folder: Path) -> None:
    server = start_demo(folder, "--workers", "1")
    try:
        path = Path(server.config)
        text = path.read_text()
        head, _, rest = text.rpartition('[[listener]]\nprotocol = "metrics"')
        path.write_text(head + rest.partition("\n\n")[2])
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not answers(server))
        path.write_text(text)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: answers(server))
        assert health(server)[0] == 200
    finally:
        assert stop_demo(server) == 0


def answers(server: Running) -> bool:
    try:
        return get(server, "/health/live")[0] == 200
    except OSError:
        return False


def test_a_process_that_died_is_an_alarm_until_somebody_has_looked(folder: Path) -> None:
    server = start_demo(folder, "--workers", "1")
    try:
        os.kill(named(server, "hashing"), signal.SIGKILL)

        def alarms() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(server.postroom("status", "--json").stdout)["alarms"]
            return found

        [alarm] = until(alarms)
        assert (alarm["event"], alarm["subject"]) == ("process.died", "hashing")
        assert "a process ended by itself" in server.postroom("status").stdout
        assert samples(server)["postroom_alarms"] == {'event="process.died"': 1.0}
        server.postroom("alarm", "done", str(alarm["id"]))
        assert alarms() == []
    finally:
        assert stop_demo(server) == 0
