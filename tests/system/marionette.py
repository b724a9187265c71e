"""A Thunderbird without a window that does what it is told, over Mozilla's remote protocol (Marionette).

The protocol is JSON with its length before it, one answer for each command, on a port of loopback that the program
writes into its profile.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from running import until

SETTINGS = {
    "marionette.port": 0,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.proxy.type": 0,
}
STEPS = (Path(__file__).parent / "thunderbird.js").read_text()
CALL = """
const answer = arguments[arguments.length - 1], [name, ...given] = [...arguments].slice(0, -1);
steps[name](...given).then(value => answer([true, value ?? null]), fault => answer([false, String(fault)]));
"""


class StepFailed(Exception):
    """The program could not do it; what it said."""


class Thunderbird:
    """One running program with a profile of its own."""

    def __init__(self, home: Path) -> None:
        profile = home / "profile"
        profile.mkdir(parents=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in SETTINGS.items()]
        (profile / "user.js").write_text("\n".join(lines) + "\n")
        command = ["thunderbird", "--headless", "--no-remote", "--marionette", "-remote-allow-system-access"]
        self.log = home / "thunderbird.log"
        self._process = subprocess.Popen(
            [*command, "--profile", str(profile)],
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(home), "MOZ_CRASHREPORTER_DISABLE": "1"},
        )
        written = profile / "MarionetteActivePort"
        until(lambda: written.exists() and written.read_text().strip(), 180)
        self._socket = socket.create_connection(("127.0.0.1", int(written.read_text())), 90)
        self._input = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # it introduces itself
        self._command("WebDriver:NewSession", {})
        self._command("Marionette:SetContext", {"value": "chrome"})

    def __call__(self, step: str, *arguments: object) -> Any:
        """Do one step of thunderbird.js; what it answered. Raises StepFailed."""
        wish = {"script": STEPS + CALL, "args": [step, *arguments], "scriptTimeout": 60_000}
        done, value = self._command("WebDriver:ExecuteAsyncScript", wish)["value"]
        if not done:
            raise StepFailed(f"{step}{arguments}: {value}")
        return value

    def until(self, step: str, *arguments: object, met: Callable[[Any], bool]) -> Any:
        """Ask again until the answer is as it should be."""
        last: list[object] = []

        def ask() -> bool:
            try:
                last[:] = [self(step, *arguments)]
            except StepFailed as fault:
                last[:] = [fault]
                return False
            return met(last[0])

        try:
            until(ask, 60)
        except AssertionError:
            raise AssertionError(f"{step}{arguments}: {last[0]}") from None
        return last[0]

    def quit(self) -> None:
        """End it; the process is gone afterwards."""
        try:
            self._command("Marionette:Quit", {"flags": ["eForceQuit"]})
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait(10)
            self._input.close()
            self._socket.close()

    def _command(self, name: str, wish: dict[str, object]) -> Any:
        self._number += 1
        text = json.dumps([0, self._number, name, wish]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, _, fault, value = self._receive()
        if fault:
            raise StepFailed(f"{name}: {fault}")
        return value

    def _receive(self) -> Any:
        length = b""
        while (octet := self._input.read(1)) != b":":
            assert octet, "Thunderbird has gone: " + self.log.read_text()[-500:]
            length += octet
        return json.loads(self._input.read(int(length)))
