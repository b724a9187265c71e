"""ClamAV and rspamd from Debian's packages, with databases and rules of our own: they understand us, and we them."""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.config import Place
from postroom.filter.clamav import Clamav
from postroom.filter.health import ScannerFailed
from postroom.filter.rspamd import Rspamd
from postroom.values.content import Content
from postroom.wire.clamd import Found
from postroom.wire.rspamd import Answer, Question

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
CLAMD, RSPAMD = shutil.which("clamd", path=PATH), shutil.which("rspamd", path=PATH)
SECONDS = 90.0
#: what the signature below stands for; no scanner of this machine need be woken by it
EVIL = b"Postroom-Test-Signature-" + bytes(range(65, 91))
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
pytestmark = pytest.mark.system
with_clamd = pytest.mark.skipif(CLAMD is None, reason="clamd is not installed")
with_rspamd = pytest.mark.skipif(RSPAMD is None, reason="rspamd is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def attached(name: str, octets: bytes) -> Content:
    head = "From: a@far.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n"
    part = f"--q\r\nContent-Type: application/octet-stream; name={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    body = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return Content.of(head.encode() + part.encode() + body + b"\r\n--q--\r\n")


def zipped(octets: bytes, *, locked: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.bin", octets)
    found = bytearray(file.getvalue())
    if locked:
        found[6] |= 1
        found[found.find(b"PK\x01\x02") + 8] |= 1
    return bytes(found)


def started(arguments: list[str], folder: Path, *answers: tuple[str, int]) -> subprocess.Popen[bytes]:
    """A program whose places answer."""
    output = (folder / "output").open("wb")
    with output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
    for host, port in answers:
        asyncio.run(_answers(host, port, process, folder))
    return process


async def _answers(host: str, port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    loop, until = asyncio.get_running_loop(), asyncio.get_running_loop().time() + SECONDS
    while True:
        try:
            _, writer = await (asyncio.open_connection(host, port) if port else asyncio.open_unix_connection(host))
        except OSError:
            assert process.poll() is None, (folder / "output").read_text("utf-8", "replace")
            assert loop.time() < until, f"{host} {port} does not answer"
            await asyncio.wait([loop.create_future()], timeout=0.05)
        else:
            writer.close()
            return


def stopped(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """On a Unix socket and a port; gives both."""
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "db").mkdir()
    (folder / "db" / "test.ndb").write_text(f"Postroom.Test:0:*:{EVIL.hex()}\n")
    port, path = free_port(), f"{folder}/clamd.ctl"
    lines = [
        f"DatabaseDirectory {folder}/db",
        f"LocalSocket {path}",
        f"TCPSocket {port}",
        "TCPAddr 127.0.0.1",
        "Foreground yes",
        "StreamMaxLength 2M",
        "MaxScanSize 1M",
        "AlertEncrypted yes",
        "AlertExceedsMax yes",
    ]
    (folder / "clamd.conf").write_text("\n".join(lines) + "\n")
    process = started([str(CLAMD), f"--config-file={folder}/clamd.conf"], folder, (path, 0), ("127.0.0.1", port))
    yield path, port
    stopped(process)


@with_clamd
async def test_viruses_are_found_over_both_kinds_of_socket(clamd: tuple[str, int]) -> None:
    path, port = clamd
    for place in ((path, 0), ("127.0.0.1", port)):
        clamav = Clamav(place, 25_000_000, SECONDS)
        await clamav.ping()
        assert (await clamav.version()).startswith("ClamAV ")
        assert (await clamav.scan(attached("a.txt", b"hello"))).found is Found.CLEAN
        found = await clamav.scan(attached("a.bin", b"x" * 100 + EVIL))
        assert (found.found, found.name) == (Found.INFECTED, "Postroom.Test.UNOFFICIAL")


@with_clamd
async def test_archives_are_opened_and_locked_ones_are_told_of(clamd: tuple[str, int]) -> None:
    clamav = Clamav((clamd[0], 0), 25_000_000, SECONDS)
    assert (await clamav.scan(attached("a.zip", zipped(EVIL)))).found is Found.INFECTED
    assert (await clamav.scan(attached("a.zip", zipped(b"x" * 100, locked=True)))).found is Found.ENCRYPTED


@with_clamd
async def test_what_is_beyond_its_limits_is_told_of(clamd: tuple[str, int]) -> None:
    clamav = Clamav((clamd[0], 0), 25_000_000, SECONDS)
    assert (await clamav.scan(Content.of(b"y\r\n" * 300_000))).found is Found.CLEAN
    assert (await clamav.scan(Content.of(b"y\r\n" * 500_000))).found is Found.OVERSIZED  # MaxScanSize
    for size in (2_100_000, 3_000_000, 24_000_000):  # StreamMaxLength
        found = await clamav.scan(Content.of(b"x" * size))
        assert found.found is Found.OVERSIZED
        assert "StreamMaxLength" in found.name
    cut = Clamav((clamd[0], 0), 500_000, SECONDS)
    assert (await cut.scan(Content.of(b"x" * 24_000_000))).found is Found.OVERSIZED


RULE = """
rspamd_config:register_symbol{name = "FROM_AFAR", score = 2.5, group = "ours", description = "It comes from afar",
  callback = function(task)
    local ip, rcpt, from = task:get_from_ip(), task:get_recipients("smtp"), task:get_from("smtp")
    if tostring(ip) == "192.0.2.1" then
      return true, task:get_helo(), task:get_queue_id(), rcpt[1].addr, rcpt[2].addr, from[1].addr
    end
  end}
"""


@pytest.fixture(scope="module")
def rspamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of worker and controller; without network, Redis and hyperscan."""
    folder = tmp_path_factory.mktemp("rspamd")
    worker, controller = free_port(), free_port()
    (folder / "rules.lua").write_text(RULE)
    (folder / "tlds").write_text("com\norg\ntest\n")
    (folder / "rspamd.conf").write_text(f"""
options {{ pidfile = "{folder}/pid"; tempdir = "{folder}"; hs_cache_dir = "{folder}"; filters = "";
  url_tld = "{folder}/tlds"; disable_hyperscan = true; rrd = ""; history_file = "";
  control_socket = "{folder}/control mode=0600"; dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{worker}"; count = 1; }}
worker "controller" {{ bind_socket = "127.0.0.1:{controller}"; count = 1; password = "secret";
  enable_password = "secret"; secure_ip = []; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
group "ours" {{ symbol "BAYES_SPAM" {{ weight = 5.1; }} symbol "BAYES_HAM" {{ weight = -3.0; }} }}
lua = "{folder}/rules.lua";
classifier "bayes" {{ tokenizer {{ name = "osb"; }} backend = "sqlite3"; min_tokens = 1; min_learns = 1;
  cache {{ type = "sqlite3"; path = "{folder}/learned"; }}
  statfile {{ symbol = "BAYES_HAM"; path = "{folder}/ham"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; path = "{folder}/spam"; spam = true; }} }}
""")
    arguments = [str(RSPAMD), "-f", "-i", "-c", f"{folder}/rspamd.conf"]
    process = started(arguments, folder, ("127.0.0.1", worker), ("127.0.0.1", controller))
    yield worker, controller
    stopped(process)


def letter(body: str) -> Content:
    return Content.of(f"From: a@far.test\r\nTo: b@here.test\r\nSubject: x\r\n\r\n{body}\r\n".encode())


QUESTION = Question(
    sender="a@far.test", recipients=("b@here.test", "c@here.test"), ip="192.0.2.1", helo="mx.far.test", id="Q77"
)


@with_rspamd
async def test_rspamd_hears_who_sent_it_to_whom(rspamd: tuple[int, int]) -> None:
    asked = Rspamd(Place(False, "127.0.0.1", rspamd[0], "/"), SECONDS)
    await asked.ping()
    found = await asked.check(letter("hello"), QUESTION)
    assert isinstance(found, Answer)
    assert (found.score, found.required, found.action) == (2.5, 15.0, "no action")
    assert [(one.name, one.text) for one in found.symbols] == [("FROM_AFAR", "It comes from afar")]
    assert not (await asked.check(letter("hello"), Question(ip="192.0.2.2")) or found).symbols
    spam = await asked.check(letter(GTUBE), QUESTION)
    assert spam is not None
    assert (spam.action, spam.score) == ("reject", 15.0)
    asked.close()


@with_rspamd
async def test_rspamd_learns_what_readers_say(rspamd: tuple[int, int]) -> None:
    worker, controller = (Place(False, "127.0.0.1", port, "/") for port in rspamd)
    stranger = Rspamd(worker, SECONDS, controller, "wrong")
    unwanted = "horoscope stars destiny fortune zodiac moon rising crystal aura healing energy karma"
    with pytest.raises(ScannerFailed, match="has not learned"):
        await stranger.teach(letter(unwanted), True)
    taught = Rspamd(worker, SECONDS, controller, "secret")
    assert await taught.teach(letter(unwanted), True)
    assert await taught.teach(letter("meeting invoice project report agenda contract review minutes budget"), False)
    assert not await taught.teach(letter(unwanted), True)  # known already
