"""Many clients at random on shared mailboxes, over real sockets and two workers (postroom.testing.stress).

`make stress` does it for longer. POSTROOM_SEED and POSTROOM_STRESS_SECONDS change the short run here.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from running import Running, start_demo, stop_demo

from postroom.testing.stress import record
from postroom.testing.stress.__main__ import plan_for, with_noise
from postroom.testing.stress.belief import Belief
from postroom.testing.stress.client import Client, Manner, Step
from postroom.testing.stress.ledger import Fact, Ledger, Lie
from postroom.testing.stress.record import Record
from postroom.testing.stress.run import Plan, Run
from postroom.testing.stress.words import pairs, split

SECONDS = float(os.environ.get("POSTROOM_STRESS_SECONDS", "8"))
BOX = ("ann@example.org", 7)


def plan_of(server: Running, seed: int, **options: Any) -> tuple[Plan, dict[str, Any]]:
    told = {"certificate": server.certificate, "host": server.host, "ports": server.ports, "users": server.users}
    return plan_for(told, seed, **options), told


@pytest.mark.timeout(120)
def test_all_clients_believe_what_is_true(folder: Path) -> None:
    seed = int(os.environ.get("POSTROOM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"POSTROOM_SEED={seed}")
    server = start_demo(folder, "--workers", "2")
    reports = Path(os.environ.get("POSTROOM_STRESS_REPORTS", "") or folder)
    plan, told = plan_of(server, seed, seconds=SECONDS, clients=10, reports=reports, leaky=frozenset(("INBOX",)))
    outcome = asyncio.run(with_noise(Run(plan), told))
    print(outcome)
    assert outcome.steps > 100
    assert stop_demo(server) == 0, (folder / "stderr.log").read_text()[-3000:]
    server.postroom("check")
    assert "session.fault" not in (folder / "server.log").read_text()


@pytest.mark.timeout(120)
def test_a_run_is_done_once_more(folder: Path, tmp_path: Path) -> None:
    server = start_demo(folder, "--workers", "2")
    plan, _ = plan_of(server, 4711, clients=1, reports=tmp_path)
    steps = [
        Step("open"),
        Step("select", b'SELECT "Stress/a"', {"name": "Stress/a"}),
        Step("append", b'APPEND "Stress/a" {5+}\r\nhello', {"name": "Stress/a", "facts": [[5, _digest(b"hello")]]}),
        Step("fetch", b"UID FETCH 1:* (UID FLAGS BODY.PEEK[])"),
        Step("search", b"UID SEARCH UNSEEN", {"key": "UNSEEN"}),
        Step("cut", b"NOOP"),
        Step("open", note={"back": True}),
    ]
    kept = Record()
    for step in steps:
        kept.end(kept.begin(0, step))
    run = Run(plan)
    kept.write(tmp_path / "steps.jsonl", run.manners)
    outcome = asyncio.run(run.replay(record.read(tmp_path / "steps.jsonl")[1]))
    assert outcome.steps == 7
    assert [known.present for known in run.ledger.boxes.values() if Fact.of(b"hello") in known.facts.values()] == [{1}]
    assert stop_demo(server) == 0


def _digest(octets: bytes) -> str:
    return Fact.of(octets).digest.hex()


def test_push_reaches_idlers_of_both_workers(folder: Path) -> None:
    server = start_demo(folder, "--workers", "2")
    plan, _ = plan_of(server, 1)
    times: list[float] = []

    async def main() -> None:
        ledger = Ledger()
        manner = Manner(login=server.login(), password=server.password())
        idlers = [Client(number, plan.server, manner, ledger) for number in range(12)]  # spread over both by the kernel
        for idler in idlers:
            await idler.perform(Step("open"))
            await idler.perform(Step("select", b"SELECT INBOX", {"name": "INBOX"}))
            idler.talk.send(b"i IDLE\r\n")
            while not (await idler.talk.read()).startswith(b"+"):
                pass
        sender = Client(99, plan.server, manner, ledger)
        await sender.perform(Step("open"))
        for _ in range(20):
            started = time.monotonic()
            await sender.say(b"APPEND INBOX {19+}\r\nSubject: x\r\n\r\nhello")
            for idler in idlers:
                while not (await idler.talk.read()).endswith(b"EXISTS"):
                    pass
                times.append(time.monotonic() - started)
        for client in (*idlers, sender):
            client.close()
        await asyncio.sleep(0)

    asyncio.run(main())
    median = statistics.median(times) * 1000
    print(f"push: median {median:.1f} ms, slowest {max(times) * 1000:.1f} ms")
    assert median < 100
    assert stop_demo(server) == 0


# --- what the model does not let pass


def belief(**manner: bool) -> Belief:
    made = Belief(Ledger(), BOX, **manner)
    for line in (b"* 3 EXISTS", b"* 1 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (9))", b"* 3 FETCH (UID 9 FLAGS ())"):
        made.hear(line.replace(b"* 1 FETCH (UID 4", b"* 4 UIDFETCH (UID 4") if made.uidonly else line, expunge_ok=False)
    return made


@pytest.mark.parametrize(
    ("line", "expunge_ok"),
    [
        (b"* 2 EXISTS", True),
        (b"* 4 EXPUNGE", True),
        (b"* 0 EXPUNGE", True),
        (b"* 1 EXPUNGE", False),
        (b"* VANISHED 4", True),
        (b"* 1 FETCH (UID 5 FLAGS ())", True),
        (b"* 4 FETCH (UID 12 FLAGS ())", True),
        (b"* 2 FETCH (UID 4 FLAGS ())", True),
        (b"* 2 FETCH (UID 11 FLAGS ())", True),
        (b"* 1 FETCH (FLAGS () MODSEQ (8))", True),
        (b"* 4 UIDFETCH (FLAGS ())", True),
    ],
)
def test_lies_are_noticed(line: bytes, expunge_ok: bool) -> None:
    with pytest.raises(Lie):
        belief().hear(line, expunge_ok=expunge_ok)


def test_vanished_takes_the_message_that_fits() -> None:
    one = Belief(Ledger(), BOX, qresync=True)
    for line in (b"* 4 EXISTS", b"* 1 FETCH (UID 4 FLAGS ())", b"* 4 FETCH (UID 9 FLAGS ())", b"* VANISHED 4,6"):
        one.hear(line, expunge_ok=True)
    assert one.uids == [0, 9]
    with pytest.raises(Lie):
        one.hear(b"* VANISHED 12", expunge_ok=True)
    with pytest.raises(Lie):
        one.hear(b"* 1 EXPUNGE", expunge_ok=True)
    one.told_highest(12)
    with pytest.raises(Lie):
        one.told_highest(11)


def test_search_must_say_what_was_told() -> None:
    one = belief()
    one.check_found("SEEN", {4})
    one.check_found("UNSEEN", {7, 9})  # 7 may be the one that nobody knows yet
    for key, found in (("SEEN", {4, 9}), ("UNSEEN", set()), ("ALL", {4}), ("UNSEEN", {7, 8, 9})):
        with pytest.raises(Lie):
            one.check_found(key, found)


def test_the_ledger_forgets_nothing() -> None:
    ledger = Ledger()
    ledger.made(BOX, 1, Fact.of(b"one"))
    ledger.made(BOX, 2, Fact.of(b"two"))
    ledger.made(BOX, 3, None)
    with pytest.raises(Lie):
        ledger.made(BOX, 2, None)
    with pytest.raises(Lie):
        ledger.fact(BOX, 1, Fact.of(b"another"))
    ledger.leaves(BOX, 1, "MOVE")
    with pytest.raises(Lie):
        ledger.leaves(BOX, 1, "REPLACE")
    ledger.box(BOX).doomed.add(2)
    ledger.at_the_end(BOX, {3})
    with pytest.raises(Lie):
        ledger.at_the_end(BOX, {2})  # 3 is lost
    with pytest.raises(Lie):
        ledger.at_the_end(BOX, {1, 2, 3})  # 1 has risen


def test_words() -> None:
    line = b'* 2 FETCH (BODY[HEADER.FIELDS (A B)] {3}\r\nx)y FLAGS (\\Seen a) "x\\"" NIL ENVELOPE ("a" NIL (("b")))'
    words = split(line + b")")
    assert words[:3] == [b"*", b"2", b"FETCH"]
    assert words[3][:4] == [b"BODY[HEADER.FIELDS (A B)]", b"x)y", b"FLAGS", [b"\\Seen", b"a"]]
    assert words[3][4:] == [b'x"', None, b"ENVELOPE", [b"a", None, [[b"b"]]]]
    assert pairs(words[3][:4])[b"FLAGS"] == [b"\\Seen", b"a"]
    for wrong in (line, line + b"))"):
        with pytest.raises(ValueError, match="parenthes"):
            split(wrong)
