"""Hints and commands between workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

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
    feeds = [Feed(), Feed()]
    meshes = [Mesh(folder, slot, 2, feed, echo) for slot, feed in enumerate(feeds)]
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


async def test_a_worker_that_comes_back_lets_everybody_look_again(folder: RunFolder) -> None:
    """What it could not tell meanwhile is nowhere written down."""
    feeds = [Feed(), Feed()]
    meshes = [Mesh(folder, slot, 2, feed, echo) for slot, feed in enumerate(feeds)]
    await linked(meshes)
    heard: asyncio.Queue[Hint] = asyncio.Queue()
    await meshes[0].stop()
    feeds[1].subscribe("a1", heard.put_nowait)
    again = Mesh(folder, 0, 2, Feed(), echo)
    await again.start()
    async with asyncio.timeout(5):
        assert await heard.get() == Hint("a1", 0, 0)
    await again.stop()
    await meshes[1].stop()


async def test_commands_are_answered_and_garbage_harms_nothing(folder: RunFolder) -> None:
    mesh = Mesh(folder, 0, 1, Feed(), echo)
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
