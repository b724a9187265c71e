"""Administrators' acts on a running server: recorded, and told in its log, which may be kept elsewhere."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from running import configure, events, start_demo, stop_demo, until


def test_reloads_and_commands_are_recorded_and_logged(folder: Path) -> None:
    server = start_demo(folder, "--workers", "2")

    def acts() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(server.postroom("audit", "list", "--json").stdout)["acts"]
        return found

    try:
        server.postroom("user", "disable", server.login())
        configure(server, idle_pop3=601, level="warning")
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: len(acts()) >= 3)
        first, disabled, reloaded = acts()
        assert first["act"] == "serve"
        assert first["before"] is None
        assert (disabled["act"], disabled["on"]) == ("user disable", server.login())
        assert reloaded["act"] == "config reload"
        assert reloaded["after"] == {"limits.idle_pop3": 601, "log.level": "warning"}
        assert reloaded["who"]["uid"] == os.getuid()
        logged = {told["number"]: told["hash"] for told in events(server, "audit.recorded")}
        assert logged[disabled["number"]] == disabled["hash"]
        server.postroom("audit", "verify")
    finally:
        assert stop_demo(server) == 0
    configure(server, idle_pop3=602)
    again = start_demo(folder, "--workers", "1")
    try:
        [*_, last] = json.loads(again.postroom("audit", "list", "--json").stdout)["acts"]
        assert last["act"] == "serve"
    finally:
        assert stop_demo(again) == 0
