"""The hashing process: in steps, in a real child, and when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator

import msgspec
import pytest

from postroom.identity import HashingClient, InlineHasher, PasswordsUnavailable, run_hashing, socket_pair
from postroom.identity.hashing import HashingProcess

from .conftest import CHEAP, StandingClock

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ends = socket_pair()
    yield ends
    for end in ends:
        end.close()


def process(*ends: socket.socket) -> HashingProcess:
    return HashingProcess([end.dup() for end in ends], CHEAP, StandingClock(), b"key")


async def stored(password: str) -> str:
    return await InlineHasher(CHEAP).hash(password)


async def greeted() -> None:
    """The process's greeting has been read: nothing waits, so nothing is asked again."""
    for _ in range(3):
        await asyncio.sleep(0)


async def turn(loop_task: asyncio.Task[bool]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not loop_task.done()


async def test_a_reload_changes_the_cost_of_new_passwords(pair: Pair) -> None:
    supervisor, orders = socket_pair()
    hashing = HashingProcess([pair[1].dup()], CHEAP, StandingClock(), b"key", orders)
    client = HashingClient(pair[0])
    await greeted()
    supervisor.send(msgspec.msgpack.encode(msgspec.structs.replace(CHEAP, passes=CHEAP.passes + 1)))
    hashing.turn()
    task = asyncio.create_task(client.hash("good"))
    await turn(task)  # type: ignore[arg-type]
    hashing.turn()
    assert f"t={CHEAP.passes + 1}," in await task
    again = asyncio.create_task(client.verify(await stored("good"), "good"))
    await turn(again)
    hashing.turn()
    assert await again, "what was hashed at the old cost is still right"
    supervisor.close()
    hashing.turn()
    client.close()
    orders.close()


async def test_answers_find_their_questions(pair: Pair) -> None:
    hashing, client = process(pair[1]), HashingClient(pair[0])
    await greeted()
    good = await stored("good")
    tasks = [asyncio.create_task(client.verify(good, word)) for word in ("good", "bad", "good")]
    await turn(tasks[0])
    for _ in tasks:
        hashing.turn()
    assert [await task for task in tasks] == [True, False, True]
    client.close()


async def test_two_workers_share_what_was_verified(pair: Pair) -> None:
    other = socket_pair()
    hashing = process(pair[1], other[1])
    clients = [HashingClient(pair[0]), HashingClient(other[0])]
    await greeted()
    good = await stored("good")
    first = asyncio.create_task(clients[0].verify(good, "good"))
    await turn(first)
    hashing.turn()
    assert await first
    hashing._hasher = None  # type: ignore[assignment]  # from here on the cache must do
    second = asyncio.create_task(clients[1].verify(good, "good"))
    await turn(second)
    hashing.turn()
    assert await second
    for client in clients:
        client.close()
    for end in other:
        end.close()


async def test_what_the_old_process_had_read_is_asked_again(pair: Pair) -> None:
    client = HashingClient(pair[0])
    good = await stored("good")
    task = asyncio.create_task(client.verify(good, "good"))
    await turn(task)
    pair[1].recv(65536)  # read by a process that dies now; one more waits unread
    late = asyncio.create_task(client.verify(good, "bad"))
    await turn(late)
    hashing = process(pair[1])
    await turn(late)
    for _ in range(3):
        hashing.turn()
    assert await task
    assert not await late
    client.close()


async def test_a_request_that_kills_every_process_fails_in_the_end(pair: Pair) -> None:
    client = HashingClient(pair[0])
    task = asyncio.create_task(client.verify(await stored("good"), "good"))
    for _ in range(3):
        await turn(task)
        pair[1].recv(65536)
        process(pair[1])
    with pytest.raises(PasswordsUnavailable):
        await task
    client.close()


async def test_answers_to_a_worker_that_died_fit_nobody(pair: Pair) -> None:
    hashing = process(pair[1])
    old = HashingClient(pair[0])
    await greeted()
    task = asyncio.create_task(old.verify(await stored("good"), "good"))
    await turn(task)
    old.close()
    with pytest.raises(PasswordsUnavailable):
        await task
    new = HashingClient(pair[0])  # the worker that took its place
    other = asyncio.create_task(new.verify(await stored("secret"), "a guess"))
    await turn(other)
    hashing.turn()
    await turn(other)  # the old answer, "right", has come and gone
    hashing.turn()
    assert await other is False
    new.close()


async def test_there_is_a_limit_and_a_deadline(pair: Pair) -> None:
    client = HashingClient(pair[0], limit=1, seconds=0.01)
    task = asyncio.create_task(client.verify("x", "y"))
    await turn(task)
    with pytest.raises(PasswordsUnavailable, match="too many"):
        await client.verify("x", "y")
    with pytest.raises(PasswordsUnavailable, match="did not answer"):
        await task
    client.close()


async def test_a_closed_end_fails_what_waits_and_what_comes(pair: Pair) -> None:
    client = HashingClient(pair[0])
    task = asyncio.create_task(client.verify("x", "y"))
    await turn(task)
    pair[1].close()
    with pytest.raises(PasswordsUnavailable):
        await task
    with pytest.raises(PasswordsUnavailable):
        await client.hash("z")
    client.close()


async def test_a_stored_text_that_is_no_hash_is_simply_wrong(pair: Pair) -> None:
    assert not await InlineHasher(CHEAP).verify("plain text", "plain text")
    assert not await InlineHasher(CHEAP).verify("$argon2id$v=19$m=8,t=1,p=1$bad", "x")


async def test_a_real_child_hashes_at_low_priority_and_may_be_killed(pair: Pair) -> None:
    def child() -> int:
        pid = os.fork()
        if not pid:
            pair[0].close()
            try:
                run_hashing([pair[1]], CHEAP, nice=5)
            finally:
                os._exit(0)
        return pid

    pid = child()
    client = HashingClient(pair[0], seconds=30)
    secret = await client.hash("a password")
    assert secret.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await client.verify(secret, "a password")
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # noqa: ASYNC222
    waiting = asyncio.create_task(client.verify(secret, "another"))
    await asyncio.sleep(0)
    pid = child()  # the supervisor's part
    assert await waiting is False
    client.close()
    pair[0].close()
    pair[1].close()
    assert os.waitpid(pid, 0)[1] == 0  # noqa: ASYNC222 - nobody left to answer: it ends by itself
