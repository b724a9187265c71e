"""What an active Sieve script costs: the interpreter alone, and mail that comes in with and without a script.

    python bench/bench_sieve.py [--pairs 6] [--messages 600] [--alone]

The script has ten rules of the usual kind (`SCRIPT`); the last but one files the message. First the interpreter by
itself: microseconds to compile the script, and to run it on a message. Then a server of its own (`postroom demo`) takes
messages with the script switched off and on in turn; what counts is CPU of all its processes for each message until
all have arrived, pair by pair, because other programs disturb both alike. The goal: with a script at least 70 % of the
rate without.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import ROOT, Client, Server

from postroom.message.index import index
from postroom.sieve.compiler import compile_script
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.world import Environment

SCRIPT = """\
require ["fileinto", "envelope", "imap4flags", "mailbox"];
if header :contains "subject" ["[spam]", "viagra", "lottery"] { fileinto "Junk"; stop; }
if address :is "from" ["boss@example.com", "chief@example.com"] { addflag "\\\\Flagged"; }
if header :is "x-priority" "1" { addflag "important"; }
if address :domain :is ["from", "sender"] "shop.example" { fileinto :create "Shopping"; stop; }
if header :contains "list-id" ["dev.example.org", "users.example.org"] { fileinto :create "Lists/dev"; stop; }
if allof (header :contains "subject" "invoice", size :over 100K) { fileinto :create "Invoices"; stop; }
if anyof (envelope :is "from" "robot@example.org", header :matches "subject" "*build * failed*")
  { fileinto :create "Builds"; stop; }
if exists ["x-github-reason", "x-github-sender"] { fileinto :create "Github"; stop; }
if header :matches "list-id" "*<bench.client.example>*" { fileinto :create "Bench"; stop; }
if not header :contains ["to", "cc"] "example" { fileinto :create "Others"; stop; }
"""
LINE = b"The quick brown fox jumps over the lazy dog, and then does it all over again.\r\n"
MAIL = (
    b"From: Bench <bench@client.example>\r\nTo: someone@example.org\r\nSubject: measured %d\r\n"
    b"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <%d@client.example>\r\nMIME-Version: 1.0\r\n"
    b"List-Id: Measured mail <bench.client.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
) + LINE * 45
CONNECTIONS = 10


def alone(repeats: int = 3000) -> None:
    """The interpreter by itself."""
    octets = MAIL % (1, 1)
    found = index(octets)
    environment = Environment(sender="bench@client.example", recipient="ann@example.org", now=1.0)
    program = compile_script(SCRIPT)

    def work() -> None:
        mail = Mail(lambda start=0, end=None: octets[start:end], len(octets), header=found.header, parts=found.parts)
        assert len(run_program(program, mail, environment).actions) == 1

    for name, what, count in (("compile", lambda: compile_script(SCRIPT), repeats // 20), ("run", work, repeats)):
        best = min(_timed(what, count) for _ in range(5))
        print(f"{name} a script of ten rules: {best * 1e6:.1f} us")


def _timed(what: object, count: int) -> float:
    begin = time.process_time()
    for _ in range(count):
        what()  # type: ignore[operator]
    return (time.process_time() - begin) / count


class Incoming:
    """Mail for everybody on a server of its own."""

    def __init__(self, server: Server, folder: str, messages: int) -> None:
        self.server, self.folder, self.messages = server, folder, messages
        self.sent = 0

    def postroom(self, *arguments: str) -> None:
        """A command."""
        config = str(Path(self.folder) / "postroom.toml")
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "postroom.cli.main", *arguments, "--config", config]
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)

    def keep_script(self) -> None:
        """Everybody has it, nobody's mail is sorted by it yet."""
        file = Path(self.folder) / "bench.sieve"
        file.write_text(SCRIPT)
        for user in self.server.users:
            self.postroom("sieve", "put", user["login"], "bench", str(file))

    def switch(self, on: bool) -> None:
        """The script sorts everybody's mail, or nobody's."""
        for user in self.server.users:
            self.postroom("sieve", "activate", user["login"], "bench" if on else "--none")

    async def round(self) -> tuple[float, float]:
        """CPU seconds and wall seconds for each message, until all have arrived."""
        cpu, begin = self.server.cpu(), time.perf_counter()
        before = await self.arrived()
        await asyncio.gather(*[self.send(part) for part in range(CONNECTIONS)])
        count = self.messages // CONNECTIONS * CONNECTIONS
        while await self.arrived() < before + count:  # noqa: ASYNC110  the server is another process
            await asyncio.sleep(0.05)
        wall = time.perf_counter() - begin
        return (self.server.cpu() - cpu) / count, wall / count

    async def send(self, part: int) -> None:
        """One connection."""
        client = await Client.connect(self.server, "smtp", part + 1)
        await client.smtp(b"EHLO client.example\r\n")
        to = self.server.users[part % len(self.server.users)]["login"].encode()
        for _ in range(self.messages // CONNECTIONS):
            self.sent += 1
            for command in (b"MAIL FROM:<bench@client.example>\r\n", b"RCPT TO:<" + to + b">\r\n", b"DATA\r\n"):
                await client.smtp(command)
            await client.smtp(MAIL % (self.sent, self.sent) + b".\r\n")
        client.close()

    async def arrived(self) -> int:
        """Messages in all mailboxes."""
        total = 0
        for number in range(len(self.server.users)):
            client = await Client.connect(self.server, "imaps", number)
            await client.login(self.server, number)
            client.send(b'x LIST "" * RETURN (STATUS (MESSAGES))\r\n')
            while not (line := await client.reader.readline()).startswith(b"x "):
                if line.startswith(b"* STATUS"):
                    total += int(line[line.rindex(b" ") + 1 :].rstrip(b")\r\n"))
            client.close()
        return total


async def whole(options: argparse.Namespace) -> None:
    """The server, with and without."""
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        server = Server(folder, options.port_offset)
        try:
            incoming = Incoming(server, folder, options.messages)
            incoming.keep_script()
            await incoming.round()
            found: list[tuple[tuple[float, float], tuple[float, float]]] = []
            for number in range(options.pairs):
                costs = {}
                for on in (False, True) if number % 2 else (True, False):
                    incoming.switch(on)
                    costs[on] = await incoming.round()
                found.append((costs[False], costs[True]))
                print(f"  without {costs[False][0] * 1e3:.3f} ms, with {costs[True][0] * 1e3:.3f} ms", file=sys.stderr)
        finally:
            server.stop()
    for name, place in (("CPU", 0), ("wall", 1)):
        without, with_ = (statistics.median(pair[side][place] for pair in found) for side in (0, 1))
        ratio = statistics.median(pair[0][place] / pair[1][place] for pair in found)
        print(f"{name}: without {without * 1e3:.3f} ms, with {with_ * 1e3:.3f} ms a message; rate with {ratio:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--alone", action="store_true", help="only the interpreter")
    parser.add_argument("--port-offset", type=int, default=33000)
    options = parser.parse_args()
    alone()
    if not options.alone:
        asyncio.run(whole(options))


if __name__ == "__main__":
    main()
