"""Mail made to keep the filter busy: the time that judging takes grows with its size and with nothing else."""

from __future__ import annotations

import base64
import io
import threading
import time
import zipfile
from collections.abc import Callable

import pytest

from postroom.config import Blocklist
from postroom.filter import judge, rules
from postroom.filter.judge import Judge, Judgement, Known, Reader, Sources
from postroom.filter.rules import LONGEST
from postroom.filter.seen import Seen
from postroom.filter.tokens import read
from postroom.mailauth.zone import ZoneData
from postroom.policy.blocklists import Blocklists
from postroom.store.api import DomainRow
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content

NOW = 1_700_000_000.0
HEAD = "From: Ann <ann@far.test>\r\nTo: bob@example.net\r\nMessage-ID: <1@x>\r\n"
HTML = f"{HEAD}Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
PLAIN = f"{HEAD}Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
#: seconds of CPU; without bounds the worst of these take minutes or for ever
BOUND = 5.0


def many_files() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}.txt", b"")
    head = f'{HEAD}Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head.encode() + base64.encodebytes(file.getvalue()).replace(b"\n", b"\r\n")


def nested(depth: int = 5_000) -> bytes:
    out = [f"{HEAD}Content-Type: multipart/mixed; boundary=b0\r\n\r\n"]
    out += [f"--b{number}\r\nContent-Type: multipart/mixed; boundary=b{number + 1}\r\n\r\n" for number in range(depth)]
    return "".join(out).encode()


#: what comes first, what is repeated, how often, what comes last
MAIL: dict[str, tuple[str, str, int, str]] = {
    "100,000 links": (HTML, '<a href="https://a.test/x">www.b.test</a>', 100_000, ""),
    "100,000 plain links": (PLAIN, "http://a.test/login?verify=1 ", 100_000, ""),
    "tags that never end": (HTML, "<a ", 400_000, ""),
    "attributes that never end": (HTML, '<a href="', 100_000, ""),
    "targets without end": (HTML + "<a ", "href=x ", 200_000, ""),
    "links without text": (HTML, "<a href=//a.test>", 100_000, ""),
    "comments": (HTML, "<!--", 300_000, ""),
    "deep tags": (HTML, "<div>", 500_000, ""),
    "forms": (HTML, "<form ", 300_000, ""),
    "colours": (HTML, "color:#fff;", 100_000, ""),
    "styles": (HTML + "font-size:", " ", 500_000, ""),
    "a long path": (HTML + '<a href="http://', "login./login", 100_000, '">'),
    "a subject in capitals": (f"{HEAD}Subject: ", "A", 60_000, "a\r\n\r\nx"),
    "a subject of groups": (f"{HEAD}Subject: ", "AAA ", 15_000, "a\r\n\r\nx"),
    "a subject of marks": (f"{HEAD}Subject: ", "! ", 20_000, "\r\n\r\nx"),
    "a subject spaced out": (f"{HEAD}Subject: ", "a ", 20_000, "\r\n\r\nx"),
    "encoded words": (f"{HEAD}Subject: ", "=?utf-8?q?=C3=A4?=\r\n ", 3_000, "x\r\n\r\nx"),
    "one long word": (PLAIN, "a", 1_000_000, ""),
    "one long mixed word": (PLAIN, "a\u0430", 300_000, ""),
    "one long Latin word beside another": (PLAIN + "\u0430 ", "a", 500_000, ""),
    "letters apart": (PLAIN, "a.", 400_000, ""),
    "digits for letters": (PLAIN, "a1", 400_000, ""),
    "invisible": (PLAIN, "a\u200b", 300_000, ""),
    "marks upon marks": (PLAIN, "\u0301", 400_000, ""),
    "authors": ("From: ", "a@b.test, ", 20_000, "c@d.test\r\n\r\nx"),
    "a name of addresses": ('From: "', "a@", 20_000, '" <a@b.test>\r\n\r\nx'),
    "fields": ("", "X: y\r\n", 100_000, "\r\nx"),
    "parts": (
        f"{HEAD}Content-Type: multipart/mixed; boundary=b\r\n\r\n",
        "--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n",
        20_000,
        "--b--\r\n",
    ),
}


def hosts() -> bytes:
    return (HTML + "".join(f'<a href="//h{number}.test/">x</a>' for number in range(100_000))).encode()


async def judged(octets: bytes) -> tuple[Judgement, float]:
    store = MemoryStore(clock=SettableClock(NOW))
    await store.directory.put_domain(DomainRow(name="example.net", created=0))
    no_lists: list[Blocklist] = []
    blocklists = Blocklists(ZoneData({}), no_lists, SettableClock(), lambda name, /, **fields: None)
    sources = Sources(
        training=store.training,
        limits=store.limits,
        directory=store.directory,
        blocklists=blocklists,
        rules=rules.load([rules.built_in()]),
    )
    content = Content.of(octets)
    began = time.process_time()
    found = await Judge(sources).judge(content, Known(ip="192.0.2.1", now=NOW), [Reader("bob@example.net", "acc1")])
    return found, time.process_time() - began


@pytest.mark.parametrize("name", MAIL)
async def test_judging_is_bounded(name: str) -> None:
    before, piece, count, after = MAIL[name]
    found, seconds = await judged(f"{before}{piece * count}{after}".encode())
    assert len(found.acts) == 1
    assert seconds < BOUND


@pytest.mark.parametrize("make", [hosts, nested, many_files])
async def test_judging_what_is_made_by_the_thousand_is_bounded(make: Callable[[], bytes]) -> None:
    found, seconds = await judged(make())
    assert len(found.acts) == 1
    assert seconds < BOUND


@pytest.mark.parametrize("rule", rules.load([rules.built_in()]).rules, ids=lambda rule: rule.name)
def test_built_in_patterns_are_linear(rule: rules.Rule) -> None:
    """Each pattern on text of its own words, repeated up to the most that a rule is shown."""
    if not rule.pattern:
        return
    place = rules.Place([rule])
    pieces = ["<form ", "<input type", "//login.", "//a.", ".top", "color:#fff;", "A", "AAA ", "a ", "onload ", "href "]
    began = time.process_time()
    for piece in pieces:
        place.find((piece * LONGEST)[:LONGEST] + "a")
    assert time.process_time() - began < BOUND


#: octets of a message that is large, and of one that is still read on the loop
LARGE, SMALL = 25 * 1024 * 1024, 16_000
PIECES = ['<a href="https://a.test/x">www.b.test</a>', "<div>", "<a ", "color:#fff;", "x \u00e9", "a1 a.b. "]


@pytest.mark.parametrize("piece", PIECES)
async def test_a_large_message_takes_little_of_the_loop(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read in a thread, and of its size nothing is left afterwards."""
    threads: list[int] = []

    def read_there(content: Content) -> tuple[Seen, list[int]]:
        threads.append(threading.get_ident())
        return read(content)

    monkeypatch.setattr(judge, "read", read_there)
    octets = f"{HTML}{piece * (LARGE // len(piece))}".encode()
    began = time.thread_time()
    found, _ = await judged(octets)
    spent = time.thread_time() - began  # of this thread alone
    assert len(found.acts) == 1
    assert threads[0] != threading.get_ident()
    assert spent < 1.0  # what is made anew for this one judge is in it


async def test_the_longest_that_is_read_on_the_loop_is_bounded() -> None:
    for before, piece, _, after in MAIL.values():
        octets = f"{before}{piece * (SMALL // len(piece))}{after}".encode()[:SMALL]
        began = time.thread_time()
        await judged(octets)
        assert time.thread_time() - began < 1.0
