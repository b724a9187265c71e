"""From events to signed calls: a receiver that answers, fails, redirects or is not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import webhooks
from postroom.app.runfolder import RunFolder
from postroom.app.webhooks import CallFailed, WebhookCaller, WebhookClient, WebhookWriter
from postroom.config import Webhook
from postroom.store.api import StoreUnavailable
from postroom.store.memory.store import MemoryStore
from postroom.testing.mailflow import Events
from postroom.testing.store_contract.build import SettableClock


class Receiver:
    """A small HTTP server. answers: what it says next, 200 when nothing is left."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.calls: list[tuple[dict[str, str], bytes]] = []

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.strip().split("\r\n")[1:]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(fields["content-length"]))
        self.calls.append((fields, body))
        answer = self.answers.pop(0) if self.answers else b"HTTP/1.1 204 No Content\r\n\r\n"
        writer.write(answer)
        writer.close()


class Scene:
    def __init__(self, folder: Path, port: int) -> None:
        self.clock = SettableClock()
        self.store = MemoryStore(clock=self.clock)
        self.events = Events()
        secret = folder / "secret"
        secret.write_text("a secret\n")
        self.hook = Webhook(name="crm", url=f"http://127.0.0.1:{port}/in?x=1", secret_file=str(secret))
        self.writer = WebhookWriter(self.store.hooks, self.events, self.clock)
        self.writer.follow([self.hook])
        (folder / "run").mkdir(parents=True, exist_ok=True)
        self.caller = WebhookCaller(
            self.store.hooks, self.events, self.clock, lambda: [self.hook], RunFolder(str(folder))
        )

    async def tell(self, name: str, queue_id: str = "q1", **fields: Any) -> None:
        self.writer.add(self.clock.time, name, {"queue_id": queue_id, **fields})
        await self.writer.flush()

    async def sent(self, queue_id: str = "q1", recipients: int = 1) -> None:
        await self.tell("message.accepted", queue_id, login="ann@x.test", sender="ann@x.test", recipients=recipients)

    async def turn(self, seconds: float = 0.0) -> None:
        self.clock.time += seconds
        await self.caller.turn()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    made.server.close()


@pytest.fixture
def scene(tmp_path: Path, receiver: Receiver) -> Scene:
    return Scene(tmp_path, receiver.port)


async def test_an_event_becomes_a_signed_call(scene: Scene, receiver: Receiver) -> None:
    await scene.sent(recipients=2)
    await scene.tell("message.relayed", recipient="a@far.test", attempts=1)
    assert list(await scene.store.hooks.contexts(["q1"])) == ["q1"]
    await scene.tell("message.failed", recipient="b@far.test", attempts=1)
    assert await scene.store.hooks.contexts(["q1"]) == {}  # nothing more comes of it
    await scene.turn()
    assert {json.loads(body)["type"] for _, body in receiver.calls} == {"message.relayed", "message.failed"}
    fields, body = receiver.calls[0]
    assert json.loads(body)["data"]["login"] == "ann@x.test"
    assert fields["webhook-signature"].startswith("v1,")
    assert fields["content-type"] == "application/json"
    assert await scene.store.hooks.states() == []
    await scene.turn(1)
    assert len(receiver.calls) == 2


async def test_what_fails_is_tried_again_with_the_same_id(scene: Scene, receiver: Receiver) -> None:
    receiver.answers = [
        b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Go\r\nlocation: http://x/\r\n\r\n",
    ]
    await scene.sent()
    await scene.tell("message.relayed", recipient="a@far.test")
    await scene.turn()
    await scene.turn(4)
    assert len(receiver.calls) == 1
    await scene.turn(2)
    assert len(receiver.calls) == 2  # a redirect is no success, and is not followed
    (state,) = await scene.store.hooks.states()
    assert (state.waiting, state.last) == (1, "it answered 302")
    await scene.turn(20)
    assert len({fields["webhook-id"] for fields, _ in receiver.calls}) == 1
    assert len(receiver.calls) == 3
    assert await scene.store.hooks.states() == []


async def test_a_receiver_that_is_gone(scene: Scene, receiver: Receiver) -> None:
    receiver.server.close()
    await receiver.server.wait_closed()
    await scene.sent()
    await scene.tell("message.relayed", recipient="a@far.test")
    for _ in range(6):
        await scene.turn(webhooks.LONGEST_RETRY)
    assert len(scene.events.of("webhook.failing")) == 1
    await scene.turn(webhooks.LIFETIME)
    (state,) = await scene.store.hooks.states()
    assert (state.waiting, state.dead) == (0, 1)
    assert scene.events.of("webhook.dropped")[0]["hook"] == "crm"
    await receiver.start()
    scene.hook = Webhook(name="crm", url=f"http://127.0.0.1:{receiver.port}/", secret_file=scene.hook.secret_file)
    assert await scene.store.hooks.retry("crm", scene.clock.time) == 1
    await scene.turn(400)
    assert len(receiver.calls) == 1
    assert len(scene.events.of("webhook.recovered")) == 1


async def test_a_patient_receiver_is_obeyed(scene: Scene, receiver: Receiver) -> None:
    receiver.answers = [b"HTTP/1.1 429 No\r\nretry-after: 100\r\ncontent-length: 0\r\n\r\n"]
    await scene.sent()
    await scene.tell("message.relayed", recipient="a@far.test")
    await scene.turn()
    await scene.turn(99)
    assert len(receiver.calls) == 1
    await scene.turn(2)
    assert len(receiver.calls) == 2


async def test_events_wait_while_the_store_is_out_of_order(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    add = scene.store.hooks.add

    async def broken(change: object) -> int:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(scene.store.hooks, "add", broken)
    await scene.sent()
    await scene.tell("message.relayed", recipient="a@far.test")
    monkeypatch.setattr(scene.store.hooks, "add", add)
    await scene.writer.flush()
    assert (await scene.store.hooks.states())[0].waiting == 1


async def test_after_a_restart_the_sender_is_still_known(scene: Scene, receiver: Receiver) -> None:
    await scene.sent()
    scene.writer = WebhookWriter(scene.store.hooks, scene.events, scene.clock)
    scene.writer.follow([scene.hook])
    await scene.tell("message.failed", recipient="a@far.test")
    await scene.turn()
    assert json.loads(receiver.calls[0][1])["data"]["sender"] == "ann@x.test"


async def test_without_a_hook_nothing_is_kept(scene: Scene) -> None:
    scene.writer.follow([])
    await scene.sent()
    await scene.tell("message.relayed", recipient="a@far.test")
    assert await scene.store.hooks.states() == []
    assert await scene.store.hooks.contexts(["q1"]) == {}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99_999,
    ],
)
async def test_hostile_answers(scene: Scene, receiver: Receiver, answer: bytes) -> None:
    receiver.answers = [answer]
    with pytest.raises(CallFailed):
        await WebhookClient().post(scene.hook, "evt_1", b"{}", 1)


async def test_a_hook_without_a_secret_is_not_called(scene: Scene, receiver: Receiver) -> None:
    secret = Path(scene.hook.secret_file)
    secret.write_text("\n")  # noqa: ASYNC240
    with pytest.raises(CallFailed, match="holds no secret"):
        await WebhookClient().post(scene.hook, "evt_1", b"{}", 1)
    secret.unlink()  # noqa: ASYNC240
    with pytest.raises(CallFailed):
        await WebhookClient().post(scene.hook, "evt_1", b"{}", 1)
    assert receiver.calls == []
