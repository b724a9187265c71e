"""The real clamd and rspamd for tests of the whole server: a signature and a rule of our own, no network."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from network_house import free_ports, until

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
CLAMD, RSPAMD = shutil.which("clamd", path=PATH), shutil.which("rspamd", path=PATH)
#: what the signature below stands for; no scanner of this machine need be woken by it
EVIL = b"Postroom-Test-Signature-" + bytes(range(65, 91))
#: as many points as the field X-Points says
RULE = """
rspamd_config:register_symbol{name = "OURS", score = 1.0, group = "ours", description = "It says so itself",
  callback = function(task)
    local points = tonumber(task:get_header("X-Points") or "")
    if points then return true, points end
  end}
"""


@dataclass
class Program:
    """A scanner that runs. place: as the configuration names it."""

    process: subprocess.Popen[bytes]
    place: str

    def stall(self) -> None:
        """It takes connections and never answers."""
        self._all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._all(signal.SIGCONT)

    def end(self) -> None:
        self._all(signal.SIGCONT)
        self._all(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self._all(signal.SIGKILL)
            self.process.wait()

    def _all(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)


def _started(arguments: list[str], place: str, folder: Path) -> Program:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    def answers() -> bool:
        assert process.poll() is None, (folder / "output").read_text("utf-8", "replace")
        if place.startswith("/"):
            return Path(place).exists()
        try:
            socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2])), 5).close()
        except OSError:
            return False
        return True

    until(answers, 90.0)
    return Program(process, place)


@contextmanager
def clamd() -> Iterator[Program]:
    """On a Unix socket, in a short path."""
    folder = Path(tempfile.mkdtemp(prefix="postroom-clamd-", dir="/tmp"))
    (folder / "test.ndb").write_text(f"Postroom.Test:0:*:{EVIL.hex()}\n")
    (folder / "clamd.conf").write_text(f"DatabaseDirectory {folder}\nLocalSocket {folder}/socket\nForeground yes\n")
    program = _started([str(CLAMD), f"--config-file={folder}/clamd.conf"], f"{folder}/socket", folder)
    try:
        yield program
    finally:
        program.end()
        shutil.rmtree(folder)


@contextmanager
def rspamd() -> Iterator[Program]:
    """On a port; without network, Redis and hyperscan."""
    folder = Path(tempfile.mkdtemp(prefix="postroom-rspamd-", dir="/tmp"))
    folder.chmod(0o755)  # it may run as a user of its own
    (port,) = free_ports(1)
    (folder / "rules.lua").write_text(RULE)
    (folder / "tlds").write_text("com\norg\ntest\n")
    (folder / "rspamd.conf").write_text(f"""
options {{ pidfile = "{folder}/pid"; tempdir = "{folder}"; hs_cache_dir = "{folder}"; filters = "";
  url_tld = "{folder}/tlds"; disable_hyperscan = true; rrd = ""; history_file = "";
  control_socket = "{folder}/control mode=0600"; dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
actions {{ reject = 15; add_header = 6; greylist = null; }}
lua = "{folder}/rules.lua";
""")
    arguments = [str(RSPAMD), "-f", "-i", "-c", f"{folder}/rspamd.conf"]
    program = _started(arguments, f"http://127.0.0.1:{port}", folder)
    try:
        yield program
    finally:
        program.end()
        shutil.rmtree(folder)
