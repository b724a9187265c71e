"""Bodies: line ends however they are cut, sizes, and the memory that all of them share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from postroom.servers.http.bodies import Budget, in_memory, into_spool
from postroom.servers.http.problems import Problem
from postroom.store.memory.store import MemorySpool


def request(*chunks: bytes, **headers: str) -> Request:
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        chunk = left.pop(0) if left else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw, "path": "/"}, receive)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b".", b"ab\r\ncd"]), max_size=12), st.integers(1, 4))
async def test_cuts_do_not_matter(parts: list[bytes], size: int) -> None:
    whole = b"".join(parts)
    chunks = [whole[at : at + size] for at in range(0, len(whole), size)] or [b""]
    spool = MemorySpool()
    await into_spool(request(*chunks), spool, 1000)
    octets = (await spool.seal()).data
    lines = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    expected = lines if not lines or lines.endswith(b"\n") else lines + b"\n"
    assert octets == expected.replace(b"\n", b"\r\n")


async def test_sizes() -> None:
    with pytest.raises(Problem, match="10 octets are allowed"):
        await into_spool(request(b"12345", b"123456"), MemorySpool(), 10)
    with pytest.raises(Problem):
        await into_spool(request(b"", content_length="11"), MemorySpool(), 10)
    budget = Budget(100)
    with pytest.raises(Problem):
        async with in_memory(request(b"12345", b"123456"), 10, budget):
            pass
    assert budget.left == 100


async def test_memory_is_shared() -> None:
    budget = Budget(150_000)
    chunks = [b"x" * 50_000] * 4  # 64 KiB of each are free
    async with in_memory(request(*chunks), 1_000_000, budget) as body:
        assert len(body) == 200_000
        with pytest.raises(Problem) as caught:
            async with in_memory(request(*chunks), 1_000_000, budget):
                pass
        assert caught.value.status == 503
        async with in_memory(request(b"x" * 60_000), 1_000_000, budget) as small:
            assert len(small) == 60_000
    assert budget.left == 150_000
