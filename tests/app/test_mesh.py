"""Hints and commands between workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from postroom.app.ears import Ears, Wanted
from postroom.app.mesh import Mesh
from postroom.app.runfolder import RunFolder
from postroom.store.api import Feed, Hint


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("command") == "fail":
        raise ValueError("no")
    return {"heard": request}


async def linked(meshes: list[Mesh]) -> None:
    for mesh in meshes:
        await mesh.start()
    for mesh in meshes:
        await asyncio.wait_for(mesh.whole(), 10)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / ("deep" * 40))  # longer than a socket path may be
    run.create()
    return run


async def test_hints_reach_the_other_workers_merged(folder: RunFolder) -> None:
    feeds, wanted = [Feed(), Feed()], Wanted(2)
    meshes = [Mesh(folder, slot, wanted, feed, echo) for slot, feed in enumerate(feeds)]
    await linked(meshes)
    heard: list[Hint] = []
    arrived = asyncio.Event()

    def hear(hint: Hint) -> None:
        if hint.mailbox:  # 0: the other worker has just come and may have missed telling us something
            heard.append(hint)
            arrived.set()

    feeds[1].subscribe("a1", hear)
    for modseq in (5, 6, 7):
        feeds[0].publish(Hint("a1", 3, modseq))
    await asyncio.wait_for(arrived.wait(), 5)
    assert heard == [Hint("a1", 3, 7)]
    for mesh in meshes:
        await mesh.stop()


class Told(Feed):
    """Notes which accounts' hints came from other workers."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[str] = []

    def receive(self, hint: Hint) -> None:
        self.accounts.append(hint.account)
        super().receive(hint)


async def test_nobody_is_told_what_nobody_there_listens_to(folder: RunFolder) -> None:
    sender, told, wanted = Feed(), Told(), Wanted(2)
    meshes = [Mesh(folder, 0, wanted, sender, echo), Mesh(folder, 1, wanted, told, echo)]
    await linked(meshes)
    arrived = asyncio.Event()
    told.subscribe("a2", lambda hint: arrived.set() if hint.modseq else None)
    await asyncio.sleep(0)
    told.accounts.clear()
    sender.publish(Hint("a1", 3, 5))
    await asyncio.sleep(0)  # what was to be told of it has been written
    sender.publish(Hint("a2", 3, 6))
    await asyncio.wait_for(arrived.wait(), 5)
    assert told.accounts == ["a2"]
    for mesh in meshes:
        await mesh.stop()


async def test_who_begins_to_listen_is_told_to_look_again() -> None:
    """What was committed between its last look and its note was not told to it."""
    feed, wanted, heard = Feed(), Wanted(2), list[Hint]()
    ears = Ears(feed, wanted, 1)
    assert wanted.by("a1") == b"\0\0"
    end = feed.subscribe("a1", heard.append)
    assert wanted.by("a1") == b"\0\1"  # before anything else is done
    assert not heard
    await asyncio.sleep(0)
    assert heard == [Hint("a1", 0, 0)]
    more = feed.subscribe("a1", heard.append)
    end()
    more()
    assert wanted.by("a1") == b"\0\1"  # it often comes back
    feed.subscribe("a1", heard.append)()
    await asyncio.sleep(0)
    assert len(heard) == 1  # hints came all the time
    ears.tidy()
    assert wanted.by("a1") == b"\0\0"
    feed.subscribe("a1", heard.append)
    await asyncio.sleep(0)
    assert len(heard) == 2
    ears.tidy()
    assert wanted.by("a1") == b"\0\1"
    ears.close()


async def test_accounts_of_one_cell_are_wanted_as_long_as_one_of_them_is() -> None:
    feed, wanted = Feed(), Wanted(1)
    ears = Ears(feed, wanted, 0)
    cell = Wanted.cell("a0")
    other = next(f"b{number}" for number in range(1_000_000) if Wanted.cell(f"b{number}") == cell)
    one, two = feed.subscribe("a0", print), feed.subscribe(other, print)
    one()
    ears.tidy()
    assert wanted.by(other) == b"\1"
    two()
    ears.tidy()
    assert wanted.by(other) == b"\0"


async def test_a_new_worker_wants_nothing_that_the_one_before_it_did() -> None:
    feed, wanted = Feed(), Wanted(2)
    Ears(feed, wanted, 1).began("a1")
    Ears(Feed(), wanted, 0)
    assert wanted.by("a1") == b"\0\1"
    Ears(Feed(), wanted, 1)
    assert wanted.by("a1") == b"\0\0"


async def test_a_worker_that_comes_back_lets_everybody_look_again(folder: RunFolder) -> None:
    """What it could not tell meanwhile is nowhere written down."""
    feeds, wanted = [Feed(), Feed()], Wanted(2)
    meshes = [Mesh(folder, slot, wanted, feed, echo) for slot, feed in enumerate(feeds)]
    await linked(meshes)
    heard: asyncio.Queue[Hint] = asyncio.Queue()
    await meshes[0].stop()
    feeds[1].subscribe("a1", heard.put_nowait)
    async with asyncio.timeout(5):
        assert await heard.get() == Hint("a1", 0, 0)  # the first listener
    again = Mesh(folder, 0, wanted, Feed(), echo)
    await again.start()
    async with asyncio.timeout(5):
        assert await heard.get() == Hint("a1", 0, 0)
    await again.stop()
    await meshes[1].stop()


async def test_commands_are_answered_and_garbage_harms_nothing(folder: RunFolder) -> None:
    mesh = Mesh(folder, 0, Wanted(1), Feed(), echo)
    await mesh.start()
    reader, writer = await asyncio.open_unix_connection(folder.socket_path(0))
    for line, answer in (
        (b'{"command": "status"}', {"heard": {"command": "status"}}),
        (b'{"command": "fail"}', {"error": "ValueError: no"}),
    ):
        writer.write(line + b"\n")
        assert json.loads(await reader.readline()) == answer
    writer.write(b"H broken\n\xff\xfe\n")
    assert "error" in json.loads(await reader.readline())
    writer.write(b"x" * 200_000)
    assert await reader.read() == b""
    writer.close()
    await mesh.stop()


def test_a_lock_names_its_holder(folder: RunFolder) -> None:
    first, second = folder.lock("server.lock"), folder.lock("server.lock")
    assert folder.server_pid() == 0
    assert first.take()
    assert not second.take()
    assert folder.server_pid() > 0
    first.release()
    assert second.take()
    second.release()
