"""ClamAV and rspamd as their protocols have them, played by small servers: what they say, and what follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postroom.config import OnFailure, Place, RspamdMode, VirusAct
from postroom.filter.clamav import Clamav
from postroom.filter.health import Health, ScannerFailed
from postroom.filter.rspamd import Rspamd
from postroom.filter.scanners import Postponed, Scanners, SpamRules, VirusRules
from postroom.filter.scoring import Act
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content
from postroom.wire.clamd import Answer, Found
from postroom.wire.rspamd import Question

MAIL = Content.of(b"From: a@far.test\r\nSubject: hi\r\n\r\nhello\r\n")
QUESTION = Question(sender="a@far.test", recipients=("b@here.test",), ip="192.0.2.1", helo="far.test", id="Q1")
ACTS = {Found.INFECTED: VirusAct.REFUSE, Found.SUSPICIOUS: VirusAct.JUNK, Found.ENCRYPTED: VirusAct.QUARANTINE}
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Daemon:
    """clamd on a Unix socket. answers: of INSTREAM, one a connection; streams: what it was given."""

    def __init__(self, path: Path, *answers: bytes, most: int = 1 << 30) -> None:
        self.path = path
        self.answers = list(answers)
        self.streams: list[bytes] = []
        self.chunks: list[int] = []
        self.most = most

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = await reader.readuntil(b"\0")
        if command == b"zPING\0":
            writer.write(b"PONG\0")
        elif command == b"zVERSION\0":
            writer.write(b"ClamAV 1.0.7/27450/Fri Nov 20 09:00:00 2026\0")
        else:
            assert command == b"zINSTREAM\0"
            await self.stream(reader, writer)
        writer.close()

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = bytearray()
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            self.chunks.append(size)
            found += await reader.readexactly(size)
            if len(found) > self.most:
                writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                await writer.drain()
                return
        self.streams.append(bytes(found))
        answer = self.answers.pop(0)
        for octet in answer:  # in the smallest pieces
            writer.write(bytes([octet]))
            await writer.drain()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Clamav]:
        server = await asyncio.start_unix_server(self.serve, str(self.path))
        async with server:
            yield Clamav((str(self.path), 0), 1_000_000, 20.0)


class Told(list[tuple[str, dict[str, Any]]]):
    """Events."""

    def __call__(self, name: str, /, **fields: Any) -> None:
        self.append((name, fields))


def viruses(clamav: Clamav, on_failure: OnFailure = OnFailure.ACCEPT, told: Told | None = None) -> Scanners:
    rules = VirusRules(acts=ACTS, on_failure=on_failure, hostname="mx.here.test")
    return Scanners((clamav, rules, Health("clamav", SettableClock(0.0), told if told is not None else Told())))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clamd"


async def test_a_message_goes_over_in_chunks(path: Path) -> None:
    octets = b"".join(b"%07d\n" % number for number in range(20_000))
    daemon = Daemon(path, b"stream: OK\0")
    async with daemon.running() as clamav:
        assert await clamav.scan(Content.of(octets)) == Answer(Found.CLEAN)
        await clamav.ping()
        assert await clamav.version() == "ClamAV 1.0.7/27450"
    assert daemon.streams == [octets]
    assert daemon.chunks == [65536, 65536, 28928]


async def test_over_tcp_too(path: Path) -> None:
    daemon = Daemon(path, b"stream: Eicar FOUND\0")
    server = await asyncio.start_server(daemon.serve, "127.0.0.1", 0)
    async with server:
        clamav = Clamav(("127.0.0.1", server.sockets[0].getsockname()[1]), 1000, 20.0)
        assert await clamav.scan(MAIL) == Answer(Found.INFECTED, "Eicar")


async def test_what_is_not_given_to_it_is_not_called_clean(path: Path) -> None:
    daemon = Daemon(path, b"stream: OK\0", b"stream: Eicar FOUND\0")
    async with daemon.running():
        clamav = Clamav((str(path), 0), 100, 20.0)
        assert (await clamav.scan(Content.of(b"x" * 101))).found is Found.OVERSIZED
        assert (await clamav.scan(Content.of(b"x" * 101))).found is Found.INFECTED
    assert daemon.streams == [b"x" * 100] * 2


async def test_a_daemon_that_will_not_take_it_all_is_heard(path: Path) -> None:
    daemon = Daemon(path, most=200_000)
    async with daemon.running() as clamav:
        found = await Clamav((str(path), 0), 50_000_000, 20.0).scan(Content.of(b"x" * 20_000_000))
        assert (found.found, "StreamMaxLength" in found.name) == (Found.OVERSIZED, True)
        assert clamav.engine == ""


@pytest.mark.parametrize("answer", [b"", b"stream: Can't allocate memory ERROR\0", b"what?\0"])
async def test_an_answer_that_says_nothing_is_a_failure(path: Path, answer: bytes) -> None:
    daemon = Daemon(path, answer)
    async with daemon.running() as clamav:
        with pytest.raises(ScannerFailed):
            await clamav.scan(MAIL)


async def test_a_silent_daemon_costs_its_time_only(path: Path) -> None:
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    async with server:
        with pytest.raises(ScannerFailed, match="too long"):
            await Clamav((str(path), 0), 1000, 0.05).scan(MAIL)
        release.set()


@pytest.mark.parametrize(
    ("answer", "act", "says"),
    [
        (b"stream: OK\0", Act.ACCEPT, b"X-Virus-Status: clean; ClamAV 1.0.7/27450 at mx.here.test\r\n"),
        (
            b"stream: Eicar FOUND\0",
            Act.REFUSE,
            b"X-Virus-Status: infected (Eicar); ClamAV 1.0.7/27450 at mx",
        ),
        (b"stream: Heuristics.Phish FOUND\0", Act.JUNK, b"X-Virus-Status: suspicious (Heuristics.Phish);"),
        (b"stream: Heuristics.Encrypted.Zip FOUND\0", Act.QUARANTINE, b"X-Virus-Status: encrypted (Heur"),
        (b"stream: Heuristics.Limits.Exceeded FOUND\0", Act.ACCEPT, b"X-Virus-Status: oversized (Heur"),
    ],
)
async def test_what_follows_from_what_is_found(path: Path, answer: bytes, act: Act, says: bytes) -> None:
    async with Daemon(path, answer).running() as clamav:
        found = await viruses(clamav).scan(MAIL, QUESTION)
    assert found.at_least is act
    assert found.added.startswith(says)
    assert str(found.told["virus"]).split()[0] in says.decode()
    assert sum(reason.points for reason in found.findings) == 0.0


async def test_without_the_daemon_mail_goes_on_and_somebody_is_told_once(path: Path) -> None:
    told = Told()
    scanners = viruses(Clamav((str(path), 0), 1000, 20.0), told=told)
    for _ in range(5):
        found = await scanners.scan(MAIL, QUESTION)
        assert found.added.startswith(b"X-Virus-Status: unchecked")
        assert "cannot be reached" in str(found.told["unheard"])
        assert found.at_least is Act.ACCEPT
    assert [name for name, _ in told] == ["scanner.failed"]


async def test_mail_that_must_be_looked_at_waits(path: Path) -> None:
    with pytest.raises(Postponed, match="cannot be reached"):
        await viruses(Clamav((str(path), 0), 1000, 20.0), OnFailure.DEFER).scan(MAIL, QUESTION)


def test_who_fails_again_and_again_is_left_alone_for_a_while() -> None:
    clock, told = SettableClock(0.0), Told()
    health = Health("clamav", clock, told)
    health.well()
    for _ in range(2):
        health.failed("gone")
    assert health.left_out == ""
    health.failed("gone")
    assert health.left_out == "gone"
    clock.time = 31.0
    assert health.left_out == ""
    health.well()
    assert [name for name, _ in told] == ["scanner.answers", "scanner.failed", "scanner.answers"]


# rspamd


def said(score: float = 7.0, action: str = "add header", **more: Any) -> bytes:
    symbols = {"BAYES_SPAM": {"score": 5.1}, "MIME_GOOD": {"score": -0.1}, "ZERO": {"score": 0.0}}
    return json.dumps({"score": score, "required_score": 15, "action": action, "symbols": symbols, **more}).encode()


class Web:
    """rspamd on a port. replies: whole responses, in order; asked: head and body of each request."""

    def __init__(self, *bodies: bytes, status: str = "200 OK", kept: bool = True, each: int = 1 << 30) -> None:
        self.bodies = list(bodies)
        self.status = status
        self.kept = kept
        self.each = each  # requests that a connection is good for
        self.asked: list[tuple[list[str], bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.each):
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            except asyncio.IncompleteReadError:
                break
            size = next((int(line.split(":")[1]) for line in head if line.startswith("Content-Length")), 0)
            self.asked.append((head, await reader.readexactly(size)))
            body = self.bodies.pop(0)
            close = "" if self.kept else "Connection: close\r\n"
            writer.write(f"HTTP/1.1 {self.status}\r\n{close}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            if not self.kept:
                break
        writer.close()

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Rspamd]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        place = Place(False, "127.0.0.1", server.sockets[0].getsockname()[1], "/")
        rspamd = Rspamd(place, options.pop("seconds", 20.0), place if options else None, **options)
        async with server:
            yield rspamd
            rspamd.close()


def judged(rspamd: Rspamd, told: Told | None = None, **options: Any) -> Scanners:
    health = Health("rspamd", SettableClock(0.0), told if told is not None else Told())
    return Scanners(None, (rspamd, SpamRules(**options), health))


async def test_a_question_and_what_it_is_worth() -> None:
    web = Web(said())
    async with web.running() as rspamd:
        found = await judged(rspamd).scan(MAIL, QUESTION)
    head, body = web.asked[0]
    assert head[0] == "POST /checkv2 HTTP/1.1"
    assert {"From: a@far.test", "Rcpt: b@here.test", "IP: 192.0.2.1", "Helo: far.test", "Queue-Id: Q1"} <= set(head)
    assert body == MAIL.data
    assert [(one.name, one.points) for one in found.findings] == [("RSPAMD", 5.6)]
    text = found.findings[0].text
    assert text == "rspamd gives it 7.0 points of 15.0, add header: BAYES_SPAM (+5.1), MIME_GOOD (-0.1)"
    assert found.told == {"rspamd": "7.0 of 15.0, add header"}
    assert found.decided is None


@pytest.mark.parametrize(
    ("action", "act"),
    [
        ("no action", Act.ACCEPT),
        ("greylist", Act.ACCEPT),
        ("add header", Act.JUNK),
        ("rewrite subject", Act.JUNK),
        ("quarantine", Act.QUARANTINE),
        ("reject", Act.REFUSE),
    ],
)
async def test_it_may_decide(action: str, act: Act) -> None:
    async with Web(said(action=action)).running() as rspamd:
        assert (await judged(rspamd, mode=RspamdMode.DECIDE).scan(MAIL, QUESTION)).decided is act


async def test_what_it_wants_later_waits_where_it_decides() -> None:
    async with Web(said(action="soft reject"), said(action="soft reject")).running() as rspamd:
        assert (await judged(rspamd).scan(MAIL, QUESTION)).decided is None
        with pytest.raises(Postponed):
            await judged(rspamd, mode=RspamdMode.DECIDE).scan(MAIL, QUESTION)


async def test_a_score_beyond_all_bounds_is_cut() -> None:
    async with Web(said(score=1e6), said(score=-1e6)).running() as rspamd:
        points = [(await judged(rspamd).scan(MAIL, QUESTION)).findings[0].points for _ in range(2)]
    assert points == [20.0, -20.0]


async def test_connections_are_kept_and_one_that_was_closed_is_no_failure() -> None:
    web = Web(*[said()] * 6, each=2)
    told = Told()
    async with web.running() as rspamd:
        scanners = judged(rspamd, told)
        for _ in range(6):
            assert (await scanners.scan(MAIL, QUESTION)).findings
    assert len(web.asked) == 6
    assert web.connections == 3
    assert [name for name, _ in told] == ["scanner.answers"]


async def test_a_server_that_closes_is_asked_anew() -> None:
    web = Web(said(), said(), kept=False)
    async with web.running() as rspamd:
        for _ in range(2):
            assert (await judged(rspamd).scan(MAIL, QUESTION)).findings
    assert web.connections == 2


@pytest.mark.parametrize(
    "web",
    [Web(b"", status="500 no"), Web(b"{}"), Web(b"x" * 2_000_000), Web(said(), status="403 forbidden")],
    ids=["500", "nothing", "too much", "403"],
)
async def test_what_is_no_answer_leaves_mail_without_its_opinion(web: Web) -> None:
    told = Told()
    async with web.running() as rspamd:
        found = await judged(rspamd, told).scan(MAIL, QUESTION)
    assert found.findings == ()
    assert "rspamd" in str(found.told["unheard"])
    assert [name for name, _ in told] == ["scanner.failed"]


async def test_what_is_too_large_or_skipped_is_no_failure() -> None:
    web = Web(said(action="no action", is_skipped=True), said(action="reject", is_skipped=True))
    async with web.running() as rspamd:
        assert (await judged(rspamd).scan(MAIL, QUESTION)).findings == ()
        assert (await judged(rspamd).scan(MAIL, QUESTION)).findings  # it had seen enough
    async with web.running(size=10) as rspamd:
        assert (await judged(rspamd).scan(MAIL, QUESTION)).told == {}
    assert len(web.asked) == 2


async def test_readers_teach_its_controller() -> None:
    web = Web(b'{"success":true}', b"{}")
    async with web.running(password="secret") as rspamd:
        scanners = judged(rspamd)
        assert scanners.learns
        await scanners.teach(MAIL, True)
        await scanners.teach(MAIL, False)
    assert [head[0].split()[1] for head, _ in web.asked] == ["/learnspam", "/learnham"]
    assert all("Password: secret" in head for head, _ in web.asked)
    web = Web(b"learned already", status="208 known")
    async with web.running(password="x") as rspamd:
        await rspamd.teach(MAIL, True)
    web = Web(b"wrong\r\npassword", status="401 no")
    async with web.running(password="x") as rspamd:
        with pytest.raises(ScannerFailed, match=r"401 wrong\?\?password"):
            await rspamd.teach(MAIL, True)


async def test_both_are_asked_at_once(path: Path) -> None:
    async with Daemon(path, b"stream: Eicar FOUND\0").running() as clamav, Web(said()).running() as rspamd:
        one, other = viruses(clamav), judged(rspamd)
        found = await Scanners(one._viruses, other._spam).scan(MAIL, QUESTION)
    assert found.at_least is Act.REFUSE
    assert [reason.name for reason in found.findings] == ["VIRUS", "RSPAMD"]
    assert set(found.told) == {"virus", "rspamd"}
