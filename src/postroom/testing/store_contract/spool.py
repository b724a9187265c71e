"""The contract of the spool."""

from __future__ import annotations

import pytest

from postroom.store.api import Store

SIZES = (0, 1, 65_535, 65_536, 65_537, 300_000, 1_500_000)


class SpoolContract:
    """What Spool promises."""

    @pytest.mark.parametrize("size", SIZES)
    async def test_what_goes_in_comes_out(self, store: Store, size: int) -> None:
        octets = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
        spool = store.spool()
        for begin in range(0, size, 7_001):
            spool.write(octets[begin : begin + 7_001])
        assert spool.size == size
        content = await spool.seal()
        assert content.size == size
        assert content.read() == octets
        assert await spool.seal() == content
        if size:
            assert content.source()[: size + 1] == octets
        spool.close()
        spool.close()

    async def test_an_abandoned_spool_leaves_nothing(self, store: Store) -> None:
        for size in (10, 200_000):
            spool = store.spool()
            spool.write(b"x" * size)
            spool.close()

    async def test_many_spools_at_once_are_separate(self, store: Store) -> None:
        spools = [store.spool() for _ in range(10)]
        for number, spool in enumerate(spools):
            spool.write(b"%d" % number * 100_000)
        for number, spool in enumerate(spools):
            assert (await spool.seal()).read() == b"%d" % number * 100_000
            spool.close()
